"""Reports a sweep: a JSON object in the bucket, metrics, and one notification if there is something to report."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from itertools import accumulate
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from pydantic.alias_generators import to_camel

from lambdas.incident.object_keys import SWEEPS
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import Notifications, VmcoreBucket
from lambdas.runtime.notification import publish
from lambdas.runtime.observability import count, measure
from lambdas.runtime.telemetry_names import Metric
from lambdas.runtime.visible_text import one_line
from lambdas.sweep.case import Action, Finding
from lambdas.sweep.found import Checked, Found

# People read the notification, so it is far below SNS's 256 KiB; the object in the bucket has everything.
_LONGEST_TEXT = 500
_MOST_CHARACTERS = 16_000


@dataclass(frozen=True)
class Outcome:
    """A finding and the outcome of its action; `error` "": no action failed."""

    finding: Finding
    is_done: bool
    error: str = ""


@dataclass(frozen=True)
class Sweep:
    """One sweep: `failures` are failed searches, `unseen` is what there was no time for."""

    at: datetime
    outcomes: Sequence[Outcome]
    failures: Sequence[str]
    unseen: Sequence[str]
    # readiness -> number of instances
    fleet: Mapping[str, int]

    @property
    def is_worth_notifying(self) -> bool:
        """Whether anything was found that somebody should know, failed, or was not seen."""
        return bool(self.to_tell or self.failures or self.unseen)

    @property
    def to_tell(self) -> list[Outcome]:
        """What people are told of; the rest is in the report only."""
        return [each for each in self.outcomes if not each.finding.is_quiet or each.error]

    @property
    def key(self) -> str:
        """sweeps/2026-11-23.json"""
        return f"{SWEEPS}{moment.iso(self.at)[:10]}.json"

    def as_json(self) -> dict[str, Any]:
        """The object in the bucket."""
        return {
            "at": moment.iso(self.at),
            "findings": [_as_json(outcome) for outcome in self.outcomes],
            "failures": list(self.failures),
            "unseen": list(self.unseen),
            "fleet": dict(self.fleet),
        }


def write(sweep: Sweep) -> None:
    """Overwrites an earlier report of the same day; the bucket keeps the previous version."""
    bucket = VmcoreBucket.read()
    clients.s3().put_object(
        Bucket=bucket.bucket_name,
        Key=sweep.key,
        Body=(json.dumps(sweep.as_json(), indent=2, sort_keys=True) + "\n").encode(),
        ContentType="application/json",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=bucket.key_arn,
    )


def emit_metrics(sweep: Sweep) -> None:
    """Emits them even if nothing was found, so that an alarm can detect a missing sweep."""
    count(Metric.SWEEPS)
    # An alarm of our own is on this one, so the quiet ones count only by their kind.
    measure(Metric.SWEEP_FINDINGS, len(sweep.to_tell), unit=MetricUnit.Count)
    failed = len(sweep.failures) + sum(1 for each in sweep.outcomes if each.error)
    measure(Metric.SWEEP_FAILURES, failed, unit=MetricUnit.Count)
    for kind, number in sorted(Counter(each.finding.kind for each in sweep.outcomes).items()):
        measure(Metric.SWEEP_FINDINGS, number, unit=MetricUnit.Count, kind=kind)
    for readiness, number in sweep.fleet.items():
        measure(Metric.FLEET_INSTANCES, number, unit=MetricUnit.Count, readiness=readiness)


def notify(sweep: Sweep, problem: str = "") -> None:
    """Publishes one message; `problem` says why the object could not be written to the bucket."""
    acted = sum(1 for each in sweep.to_tell if each.is_done)
    subject = f"Hangdump: sweep found {len(sweep.to_tell)}, acted on {acted}"
    if sweep.failures:
        subject += f", {len(sweep.failures)} searches failed"
    entries = [[f"Search failed: {one_line(failure, _LONGEST_TEXT)}"] for failure in sweep.failures]
    entries += [_lines(outcome) for outcome in sweep.to_tell]
    entries += [[f"Not checked: {one_line(unseen, _LONGEST_TEXT)}"] for unseen in sweep.unseen]
    first = _first(entries)
    lines = [line for entry in first for line in entry]
    if len(first) < len(entries):
        lines.append(f"… and {len(entries) - len(first)} more in the report.")
    where = problem or f"Report: s3://{VmcoreBucket.read().bucket_name}/{sweep.key}"
    publish(Notifications.read().topic_arn, subject=subject, lines=[*lines, "", where])


def _first(entries: Sequence[list[str]]) -> list[list[str]]:
    """The first entries that a notification has room for."""
    ends = accumulate(sum(len(line) + 1 for line in entry) for entry in entries)
    return [entry for entry, end in zip(entries, ends, strict=True) if end <= _MOST_CHARACTERS]


def _lines(outcome: Outcome) -> list[str]:
    finding = outcome.finding
    lines = [f"{finding.kind} {finding.subject}: {one_line(finding.detail, _LONGEST_TEXT)}"]
    if outcome.is_done:
        lines.append(f"  Done: {finding.action.value}.")
    elif outcome.error:
        lines.append(f"  {finding.action.value} failed: {one_line(outcome.error, _LONGEST_TEXT)}")
    if finding.next_step and (not outcome.is_done or finding.action is Action.UNMARK):
        lines.append(f"  Next: {finding.next_step}")
    return lines


def _as_json(outcome: Outcome) -> dict[str, Any]:
    known = {to_camel(name): value for name, value in asdict(outcome.finding).items() if value}
    return known | {"isDone": outcome.is_done} | ({"error": outcome.error} if outcome.error else {})


class Readiness(StrEnum):
    """The readiness of a running, enrolled instance. All but the last are tagged ready."""

    READY = "ready"  # check_kdump agrees
    BROKEN = "broken"  # check_kdump found faults
    UNREACHABLE = "unreachable"  # Systems Manager does not reach it
    NOT_ASKED = "not-asked"  # its incident has a running execution, or there was no time
    NOT_PROVISIONED = "not-provisioned"  # not tagged ready


def readiness_of_fleet(found: Found) -> Mapping[str, int]:
    """The number of instances of each kind, 0 included so that graphs drop to 0; empty if the search failed."""
    if found.fleet is None:
        return {}
    checked = {each.instance_id: each for each in found.checked}
    counted = Counter(
        _readiness(checked.get(instance_id), is_marked=is_marked) for instance_id, is_marked in found.fleet.items()
    )
    return {kind.value: counted[kind] for kind in Readiness}


def _readiness(seen: Checked | None, *, is_marked: bool) -> Readiness:
    if not is_marked:
        return Readiness.NOT_PROVISIONED
    if seen is None:
        return Readiness.NOT_ASKED
    if not seen.is_reachable:
        return Readiness.UNREACHABLE
    if seen.is_ready is None:
        return Readiness.NOT_ASKED
    return Readiness.READY if seen.is_ready else Readiness.BROKEN
