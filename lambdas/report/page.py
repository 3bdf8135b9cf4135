"""The contents of an incident's page, ready for the template. Pure."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lambdas.incident.index_fields import SimilarIncident
from lambdas.report.advice import Step, next_steps
from lambdas.report.analysis_model import Analysis, Culprit, read_analysis
from lambdas.report.bars import Memory, draw_memory
from lambdas.report.evidence_table import Row, cost_rows, custody_rows, evidence_rows, notes
from lambdas.report.facts import Facts, Headline, headline
from lambdas.report.index_page import Similar, draw_similar
from lambdas.report.processors import Blocked, Grid, Line, draw_blocked, draw_grid, draw_trace, pointer_line
from lambdas.report.text import console_link, day, duration, file_name, size
from lambdas.report.timeline import Timeline, draw_timeline
from lambdas.runtime.visible_text import clip
from lambdas.triage.model import CrashClass, Triage

_MOST_LINES = 120
_LONGEST_LINE = 400
# A screenshot of EC2 has some 50 KB; a much larger image would make the page slow to open.
_LARGEST_SCREENSHOT_BYTES = 2 * 1024**2
_IMAGES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png"}


@dataclass(frozen=True, kw_only=True)
class Exhibits:
    """The stored objects that a page shows: console and screen before the interrupt, the end of the kernel's log."""

    console: str = ""
    screenshot: bytes = b""
    log: str = ""
    # How long the bucket keeps the vmcore; 0: for ever, None: unknown.
    retention_days: int | None = None


@dataclass(frozen=True, kw_only=True)
class Page:
    """One incident."""

    title: str
    incident_id: str
    verdict: str
    headline: Headline
    reason: str
    problems: tuple[str, ...]
    sentence: str
    facts: tuple[Row, ...]
    steps: tuple[Step, ...]
    timeline: Timeline
    panic_message: str
    trace_owner: str
    pointer: Line | None
    trace: tuple[Line, ...]
    grid: Grid
    blocked: tuple[Blocked, ...]
    memory: Memory
    analysis: Analysis
    warnings: tuple[Row, ...]
    modules: tuple[str, ...]
    similar: Similar | None
    evidence: tuple[Row, ...]
    notes: tuple[str, ...]
    console: str
    screenshot: str
    log: str
    custody: tuple[Row, ...]
    costs: tuple[Row, ...]
    links: tuple[tuple[str, str], ...]


def compose(
    incident: Mapping[str, Any],
    triage: Triage | None,
    analysis: Mapping[str, Any] | None,
    similar: Sequence[SimilarIncident] | None,
    *,
    exhibits: Exhibits,
) -> Page:
    """Composes the page; parts without data are left out."""
    facts, analysed = Facts(incident), read_analysis(analysis)
    verdict, instance_id = facts.text("verdict"), facts.text("instanceId")
    bucket, region = facts.text("bucket"), facts.text("region")
    signature = triage.signature if triage else ""
    return Page(
        title=f"{verdict or 'incident'} {instance_id}".strip(),
        incident_id=facts.text("incidentId"),
        verdict=verdict,
        headline=headline(verdict),
        reason=facts.text("reason"),
        problems=tuple(clip(each, _LONGEST_LINE) for each in [*facts.texts("problems"), *analysed.problems][:40]),
        sentence=triage.sentence if triage else "",
        facts=tuple(_key_facts(facts, triage, analysed.culprit)),
        steps=tuple(next_steps(facts, triage)),
        timeline=draw_timeline(facts),
        panic_message=(triage.panic_message if triage else "") or facts.text("panicLine"),
        trace_owner=_trace_owner(triage),
        pointer=pointer_line(triage.instruction_pointer) if triage else None,
        trace=draw_trace(triage),
        grid=draw_grid(triage, analysed),
        blocked=draw_blocked(triage, analysed),
        memory=draw_memory(triage, analysed),
        analysis=analysed,
        warnings=tuple(_warnings(triage)),
        modules=triage.modules if triage else (),
        similar=draw_similar(similar, instance_id=instance_id, bucket=bucket, region=region)
        if signature and similar is not None
        else None,
        evidence=tuple(evidence_rows(facts)),
        notes=tuple(notes(facts)),
        console=tail(exhibits.console),
        screenshot=_data_uri(exhibits.screenshot),
        log=tail(exhibits.log),
        custody=tuple(custody_rows(facts)),
        costs=tuple(cost_rows(facts, retention_days=exhibits.retention_days)),
        links=tuple(_links(facts)),
    )


def tail(text: str) -> str:
    """The last lines, each of them clipped."""
    lines = text.replace("\r\n", "\n").rstrip().split("\n")
    return "\n".join(clip(line, _LONGEST_LINE) for line in lines[-_MOST_LINES:])


def _trace_owner(triage: Triage | None) -> str:
    """The task of the trace, `hangdump-spinne (602) on CPU 0`; a blocked task was on no CPU."""
    if triage is None or triage.task is None:
        return ""
    task = triage.task.name if triage.task.pid is None else f"{triage.task.name} ({triage.task.pid})"
    is_on_cpu = any(each.cpu == triage.crashing_cpu and each.task == triage.task for each in triage.cpus)
    return f"{task} on CPU {triage.crashing_cpu}" if is_on_cpu else task


def _key_facts(facts: Facts, triage: Triage | None, culprit: Culprit) -> list[Row]:
    durations = facts.part("durations")
    verified, total = durations.number("interruptToVerifiedSeconds"), durations.number("totalSeconds")
    downtime = durations.number("interruptToOnlineSeconds")
    vmcore = facts.part("vmcore").number("sizeBytes")
    at = facts.time("openedAt")
    kind = triage.crash_class if triage and triage.crash_class != CrashClass.UNKNOWN else ""
    rows = [
        Row("Instance", facts.text("instanceId"), is_code=True),
        Row("Auto Scaling group", facts.text("autoScalingGroup")),
        Row("Region and account", " · ".join(each for each in (facts.text("region"), facts.text("accountId")) if each)),
        Row("Opened", f"{day(at)}, {at:%H:%M} UTC" if at else ""),
        Row("Alarm", facts.text("alarmName")),
        Row("Crash class", kind),
        Row("Culprit, from symbols", _by_symbols(culprit)),
        Row("Kernel", (triage.kernel_release if triage else "") or facts.text("kernel"), is_code=True),
        Row("Hardware", triage.hardware if triage else ""),
        Row("Uptime", duration(triage.uptime_seconds) if triage and triage.uptime_seconds is not None else ""),
        Row("Taint", triage.taint if triage else ""),
        Row("vmcore", size(vmcore) if vmcore is not None else ""),
        Row("Downtime", duration(downtime) if downtime is not None else ""),
        Row("Time to verified", f"{duration(verified)} from the interrupt" if verified is not None else ""),
        Row("Duration", duration(total) if total is not None and verified is None else ""),
        Row("Signature", triage.signature if triage else "", is_code=True),
    ]
    return [row for row in rows if row.value]


def _by_symbols(culprit: Culprit) -> str:
    """xfs_log_force [xfs] in kworker/1:2 (2050); postgres (2101) waited for it · spin (602) in user space"""
    task = culprit.task
    if not task.name:
        return ""
    name = task.name if task.pid is None else f"{task.name} ({task.pid})"
    module = f" [{culprit.module}]" if culprit.module else ""
    where = f"{culprit.function}{module} in {name}" if culprit.function else f"{name} in user space"
    return clip(f"{where}; {', '.join(culprit.waiters)} waited for it" if culprit.waiters else where, _LONGEST_LINE)


def _warnings(triage: Triage | None) -> list[Row]:
    given = triage.warnings if triage else ()
    return [
        Row(f"{each.at:.3f}" if each.at is not None else "", clip(each.text, _LONGEST_LINE)) for each in given[-60:]
    ]


def _links(facts: Facts) -> list[tuple[str, str]]:
    bucket, region, keys = facts.text("bucket"), facts.text("region"), facts.part("keys")
    found = [
        (file_name(key), console_link(bucket=bucket, region=region, key=key))
        for name in keys.given
        if (key := keys.text(str(name))) and name != "report"
    ]
    return sorted(each for each in found if each[1])


def _data_uri(image: bytes) -> str:
    """The image as a data URI; "" for an unknown kind of image, or one that is too large."""
    kind = next((kind for start, kind in _IMAGES.items() if image.startswith(start)), "")
    if not kind or len(image) > _LARGEST_SCREENSHOT_BYTES:
        return ""
    return f"data:{kind};base64,{base64.b64encode(image).decode()}"
