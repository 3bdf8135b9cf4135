"""Composes incident.json: all that is known of an incident at its end. Pure."""

from datetime import datetime
from typing import Any

from lambdas.conclude.decide_verdict import Conclusion
from lambdas.incident.record import Incident, timeline_entry
from lambdas.report.advice import next_steps
from lambdas.report.facts import Facts
from lambdas.runtime import moment
from lambdas.triage import Triage

# From the first to the second event of the timeline, where both are there.
_DURATIONS = {
    "alarmToInterruptSeconds": ("alarm", "interrupt-sent"),
    "interruptToOnlineSeconds": ("interrupt-sent", "online"),
    "interruptToVerifiedSeconds": ("interrupt-sent", "verified"),
    "uploadSeconds": ("upload-started", "verified"),
}


def compose(
    event: dict[str, Any], incident: Incident, conclusion: Conclusion, *, triage: Triage, now: datetime
) -> dict[str, Any]:
    """incident.json, but for the keys of its objects. `event` is all that the execution knows."""
    ended = timeline_entry(now, "concluded", f"{conclusion.verdict.value}: {conclusion.reason}")
    timeline = [*incident.timeline, ended]
    found, verified = event.get("found"), event.get("verified")
    opened = opened_fields(event)
    booted = found.get("kernel", "") if isinstance(found, dict) else ""
    kernel = opened.get("kernelRelease") or triage.kernel_release or booted
    facts = incident.as_json()
    # What the console showed is in console.txt, if it is anywhere.
    for console in ("consoleBaseline", "dumpWatch"):
        facts.pop(console, None)
    facts |= {"decisionReason": incident.reason, "timeline": timeline, "durations": _durations(timeline)}
    facts |= {"verdict": conclusion.verdict.value, "reason": conclusion.reason, "concludedAt": moment.iso(now)}
    facts |= {"panicLine": triage.panic_message, "crashClass": triage.crash_class.value, "kernel": kernel}
    facts |= {"sentence": triage.sentence, "signature": triage.signature}
    # The first step alone needs no keys of objects, which are not known yet.
    steps = next_steps(Facts(facts), triage)
    facts["nextStep"] = steps[0].words if steps else ""
    if opened:
        facts["opened"] = opened
    if isinstance(verified, dict):
        facts["vmcore"] = {name: verified.get(name) for name in ("sizeBytes", "digest", "parts")}
        facts["vmcore"] |= {"key": incident.object_keys["vmcore"]}
    return facts


def opened_fields(event: dict[str, Any]) -> dict[str, Any]:
    """The result of open_vmcore; empty when the execution did not reach it."""
    opened = event.get("opened")
    return opened if isinstance(opened, dict) else {}


def _durations(timeline: list[dict[str, str]]) -> dict[str, int]:
    first = {entry["event"]: moment.parse(entry["at"]) for entry in reversed(timeline)}
    spans = {
        name: int((first[end] - first[start]).total_seconds())
        for name, (start, end) in _DURATIONS.items()
        if start in first and end in first
    }
    began = moment.parse(timeline[0]["at"])
    return spans | {"totalSeconds": int((moment.parse(timeline[-1]["at"]) - began).total_seconds())}
