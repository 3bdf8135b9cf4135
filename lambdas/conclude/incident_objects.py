"""The objects of an incident in the bucket: reads the kernel's log and the console, writes what is made of them.

A bucket or console that refuses must not keep the verdict from people: each failure becomes a problem in the report.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.incident.record import ORPHAN, Incident
from lambdas.instance.facts import read_console
from lambdas.report.pages import IncidentPages
from lambdas.runtime import bucket as objects
from lambdas.runtime.environment import VmcoreBucket
from lambdas.runtime.observability import logger
from lambdas.triage import Triage, triage

# A kernel's log buffer is 16 MiB at most unless somebody made it larger.
_LONGEST_LOG_BYTES = 32 * 1024**2

Done = TypeVar("Done")


@dataclass(frozen=True)
class Observed:
    """What the kernel and the console said, the keys of its logs in the bucket, and what could not be read."""

    log: str = ""
    console: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def observe(bucket: VmcoreBucket, incident: Incident, *, is_log_written: bool) -> Observed:
    """vmcore-dmesg.txt, or vmcore-log.txt where open_vmcore found more in the dump; and the console as it is now.

    After a crash the console is that of the crash kernel and of the boot that followed.
    """
    problems: list[str] = []
    logs: dict[str, str] = {}
    for name in ("dmesg", "log") if is_log_written else ("dmesg",):
        text = _attempt(f"vmcore-{name}.txt", partial(_read, bucket, incident.object_keys[name]), problems)
        if text is not None:
            logs[name] = text
    # Of an instance that was gone before its incident began, nobody has one.
    is_gone = incident.origin == ORPHAN
    console = "" if is_gone else _attempt("The console", lambda: read_console(incident.instance_id), problems) or ""
    keys = {name: incident.object_keys[name] for name in logs}
    return Observed(logs.get("log") or logs.get("dmesg", ""), console, keys, tuple(problems))


def triage_of(observed: Observed, *, is_crash_expected: bool) -> tuple[Triage, tuple[str, ...]]:
    """The triage, and the problem that prevented one. A log that defeats us must not keep the verdict back."""
    # Without a crash of this incident the console may still show an older one.
    console = observed.console if observed.log or is_crash_expected else ""
    try:
        return triage(observed.log, console), ()
    except Exception as error:
        logger.exception("Triage of the kernel's log")
        return Triage(), (f"Triage of the kernel's log: {error!r}",)


def write_objects(
    report: Mapping[str, Any],
    observed: Observed,
    triaged: Triage,
    *,
    names: Mapping[str, str],
    bucket: VmcoreBucket,
    pages: IncidentPages | None,
) -> dict[str, Any]:
    """console.txt and triage.json; with `pages` also report.html and incident.json. Gives the report, keys complete."""
    keys, problems = dict(report["keys"]), list(report["problems"])

    def put(name: str, text: str, content_type: str) -> None:
        def write() -> bool:
            objects.write(bucket, names[name], text, content_type=content_type)
            return True

        if _attempt(names[name].rsplit("/", 1)[1], write, problems):
            keys[name] = names[name]

    if observed.console:
        put("console", observed.console, "text/plain; charset=utf-8")
    if observed.log or triaged.panic_message:
        put("triage", json.dumps(triaged.as_json(), indent=2) + "\n", "application/json")
    if pages is not None:
        # The page and incident.json list each other's key before both are written; a key whose write failed is dropped.
        both = {name: names[name] for name in ("incident", "report")}
        try:
            pages.write_report(names["report"], {**report, "keys": keys | both, "problems": problems}, triaged)
        except Exception as error:
            problems.append(f"report.html: {error!r}")
            logger.exception("report.html")
        else:
            keys["report"] = names["report"]
        whole = {**report, "keys": keys | {"incident": names["incident"]}, "problems": problems}
        put("incident", json.dumps(whole, indent=2, sort_keys=True) + "\n", "application/json")
    return {**report, "keys": keys, "problems": problems}


def _read(bucket: VmcoreBucket, key: str) -> str | None:
    """None when it never came."""
    log = objects.read(bucket, key, longest_bytes=_LONGEST_LOG_BYTES)
    return None if log is None else log.decode("utf-8", errors="replace")


def _attempt(what: str, do: Callable[[], Done], problems: list[str]) -> Done | None:
    try:
        return do()
    except (ClientError, BotoCoreError) as error:
        problems.append(f"{what}: {error}")
        logger.warning("%s: %s", what, error)
        return None
