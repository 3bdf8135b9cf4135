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
from lambdas.report.processors import Blocked, Line, Processors, draw_blocked, draw_processors, draw_trace, pointer_line
from lambdas.report.text import day, file_name, size, taint_in_words
from lambdas.report.timeline import Timeline, draw_timeline, read_events
from lambdas.runtime import moment
from lambdas.runtime.links import console_link
from lambdas.runtime.moment import duration
from lambdas.runtime.visible_text import clip
from lambdas.triage.model import CrashClass, Triage

_MOST_LINES = 120
_LINES_IN_SIGHT = 8
# The year 9999: a later one is no date.
_LAST_EPOCH = 253_000_000_000
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
    cause: str
    first: tuple[Row, ...]
    facts: tuple[Row, ...]
    steps: tuple[Step, ...]
    timeline: Timeline
    panic_message: str
    trace_owner: str
    pointer: Line | None
    trace: tuple[Line, ...]
    processors: Processors
    blocked: Blocked
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
    last_lines: str
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
    steps = next_steps(facts, triage)
    seen_before = (
        draw_similar(similar, instance_id=instance_id, bucket=bucket, region=region)
        if signature and similar is not None
        else None
    )
    return Page(
        title=f"{verdict or 'incident'} {instance_id}".strip(),
        incident_id=facts.text("incidentId"),
        verdict=verdict,
        headline=headline(verdict),
        reason=facts.text("reason"),
        problems=tuple(clip(each, _LONGEST_LINE) for each in [*facts.texts("problems"), *analysed.problems][:40]),
        cause=triage.sentence if triage else "",
        first=tuple(_first_facts(facts, triage, steps, seen_before)),
        facts=tuple(_key_facts(facts, triage, analysed.culprit)),
        steps=tuple(steps),
        timeline=draw_timeline(facts),
        panic_message=(triage.panic_message if triage else "") or facts.text("panicLine"),
        trace_owner=_trace_owner(triage),
        # With a trace its first line is the same function, or the pointer is that of another task.
        pointer=pointer_line(triage.instruction_pointer) if triage and not triage.call_trace else None,
        trace=draw_trace(triage),
        processors=draw_processors(triage, analysed),
        blocked=draw_blocked(triage, analysed),
        memory=draw_memory(triage, analysed),
        analysis=analysed,
        warnings=tuple(_warnings(triage)),
        modules=triage.modules if triage else (),
        similar=seen_before,
        evidence=tuple(evidence_rows(facts)),
        notes=tuple(notes(facts)),
        console=tail(exhibits.console),
        screenshot=_data_uri(exhibits.screenshot),
        log=tail(exhibits.log),
        last_lines=tail(exhibits.log, _LINES_IN_SIGHT),
        custody=tuple(custody_rows(facts)),
        costs=tuple(cost_rows(facts, retention_days=exhibits.retention_days)),
        links=tuple(_links(facts)),
    )


def tail(text: str, count: int = _MOST_LINES) -> str:
    """The last lines, each of them clipped."""
    lines = text.replace("\r\n", "\n").rstrip().split("\n")
    return "\n".join(clip(line, _LONGEST_LINE) for line in lines[-count:])


def _first_facts(facts: Facts, triage: Triage | None, steps: Sequence[Step], seen_before: Similar | None) -> list[Row]:
    """What somebody who was woken asks first: who, since when, again, and what now."""
    rows = [
        Row("Instance", facts.text("instanceId"), is_code=True),
        Row("Who", _trace_owner(triage)),
        Row("Since", _since(facts)),
        Row("Seen before", seen_before.sentence if seen_before and seen_before.neighbours else ""),
        Row("Next", steps[0].words if steps else ""),
    ]
    return [row for row in rows if row.value]


def _since(facts: Facts) -> str:
    """05:51 UTC, when the instance check began to fail · 05:53 UTC, when the alarm fired"""
    evidence = facts.part("evidence")
    failing = evidence.whole("impairedEpoch") or evidence.whole("consoleTroubleBeganEpoch") or 0
    if 0 < failing < _LAST_EPOCH:
        at = moment.at_epoch(failing)
        reported_by = "instance check began to fail" if evidence.whole("impairedEpoch") else "kernel reported it"
        return f"{at:%H:%M} UTC on {day(at)}, when the {reported_by}"
    alarm = next((event.at for event in read_events(facts) if event.name in ("alarm", "requested")), None)
    return f"{alarm:%H:%M} UTC on {day(alarm)}, when the alarm fired" if alarm else ""


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
        Row("Auto Scaling group", facts.text("autoScalingGroup")),
        Row("Region and account", " · ".join(each for each in (facts.text("region"), facts.text("accountId")) if each)),
        Row("Opened", f"{day(at)}, {at:%H:%M} UTC" if at else ""),
        Row("Alarm", facts.text("alarmName")),
        Row("Crash class", kind),
        Row("Culprit, from symbols", _by_symbols(culprit)),
        Row("Kernel", (triage.kernel_release if triage else "") or facts.text("kernel"), is_code=True),
        Row("Hardware", triage.hardware if triage else ""),
        Row("Uptime", duration(triage.uptime_seconds) if triage and triage.uptime_seconds is not None else ""),
        Row("Machine", _machine(triage)),
        Row("Taint", taint_in_words(triage.taint) if triage else ""),
        Row("vmcore", size(vmcore) if vmcore is not None else ""),
        Row("Downtime", duration(downtime) if downtime is not None else ""),
        Row("Time to verified", f"{duration(verified)} from the interrupt" if verified is not None else ""),
        Row("Duration", duration(total) if total is not None and verified is None else ""),
        Row("Signature", triage.signature if triage else "", is_code=True),
    ]
    return [row for row in rows if row.value]


def _machine(triage: Triage | None) -> str:
    """x86_64, 4 CPUs"""
    if triage is None:
        return ""
    cpus = f"{triage.cpu_count} CPU{'s' if triage.cpu_count != 1 else ''}" if triage.cpu_count else ""
    return ", ".join(each for each in (triage.architecture, cpus) if each)


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
