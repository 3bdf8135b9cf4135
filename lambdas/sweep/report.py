"""What comes of a sweep: a JSON object in the bucket, metrics, and one notification when there is something to say."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from pydantic.alias_generators import to_camel

from lambdas.incident.object_keys import SWEEPS
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import Notifications, VmcoreBucket
from lambdas.runtime.notification import publish
from lambdas.runtime.observability import count, measure
from lambdas.runtime.telemetry_names import Metric
from lambdas.sweep.case import Action, Finding
from lambdas.sweep.found import Checked, Found

# SNS takes 256 KiB; what nobody reads to its end is in the bucket.
_MOST_TOLD = 100


@dataclass(frozen=True)
class Outcome:
    """A finding and what became of it: `error` "" when its action, if any, was carried out."""

    finding: Finding
    is_done: bool
    error: str = ""


@dataclass(frozen=True)
class Sweep:
    """One sweep. `failures` are searches that failed, `unseen` what there was no time for."""

    at: datetime
    outcomes: Sequence[Outcome]
    failures: Sequence[str]
    unseen: Sequence[str]
    # readiness -> how many instances; see fleet.py
    fleet: Mapping[str, int]

    @property
    def is_worth_telling(self) -> bool:
        """Nothing found, nothing failed, nothing unseen: nobody is told."""
        return bool(self.outcomes or self.failures or self.unseen)

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
    """Overwrites an earlier one of the day; the bucket keeps that as a version."""
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
    """Also when there is nothing, so that an alarm can tell a quiet sweep from none."""
    count(Metric.SWEEPS)
    measure(Metric.SWEEP_FINDINGS, len(sweep.outcomes), unit=MetricUnit.Count)
    failed = len(sweep.failures) + sum(1 for each in sweep.outcomes if each.error)
    measure(Metric.SWEEP_FAILURES, failed, unit=MetricUnit.Count)
    for kind, number in sorted(Counter(each.finding.kind for each in sweep.outcomes).items()):
        measure(Metric.SWEEP_FINDINGS, number, unit=MetricUnit.Count, kind=kind)
    for readiness, number in sweep.fleet.items():
        measure(Metric.FLEET_INSTANCES, number, unit=MetricUnit.Count, readiness=readiness)


def tell(sweep: Sweep, problem: str = "") -> None:
    """One message; `problem` is why the object in the bucket is not there."""
    acted = sum(1 for each in sweep.outcomes if each.is_done)
    subject = f"Hangdump: sweep found {len(sweep.outcomes)}, acted on {acted}"
    if sweep.failures:
        subject += f", {len(sweep.failures)} searches failed"
    lines = [line for outcome in sweep.outcomes[:_MOST_TOLD] for line in _lines(outcome)]
    if len(sweep.outcomes) > _MOST_TOLD:
        lines.append(f"… and {len(sweep.outcomes) - _MOST_TOLD} more in the report.")
    lines += [f"Failed: {failure}" for failure in sweep.failures]
    lines += [f"Not seen: {unseen}" for unseen in sweep.unseen[:_MOST_TOLD]]
    where = problem or f"Report: s3://{VmcoreBucket.read().bucket_name}/{sweep.key}"
    publish(Notifications.read().topic_arn, subject=subject, lines=[*lines, "", where])


def _lines(outcome: Outcome) -> list[str]:
    finding = outcome.finding
    lines = [f"{finding.kind} {finding.subject}: {finding.detail}"]
    if outcome.is_done:
        lines.append(f"  Done: {finding.action.value}.")
    elif outcome.error:
        lines.append(f"  {finding.action.value} failed: {outcome.error}")
    if finding.next_step and (not outcome.is_done or finding.action is Action.UNMARK):
        lines.append(f"  Next: {finding.next_step}")
    return lines


def _as_json(outcome: Outcome) -> dict[str, Any]:
    known = {to_camel(name): value for name, value in asdict(outcome.finding).items() if value}
    return known | {"isDone": outcome.is_done} | ({"error": outcome.error} if outcome.error else {})


class Readiness(StrEnum):
    """Of an instance that runs and is enrolled; each is exactly one of these."""

    READY = "ready"  # it says so, and its own check agrees
    BROKEN = "broken"  # it says so, and its own check does not agree
    UNREACHABLE = "unreachable"  # it says so, and Systems Manager does not reach it
    NOT_ASKED = "not-asked"  # it says so; its incident is being worked on, or there was no time
    NOT_PROVISIONED = "not-provisioned"  # enrolled, and nobody made it ready


def readiness_of_fleet(found: Found) -> Mapping[str, int]:
    """All kinds, also those with none, so that a line goes down to 0; empty when nobody looked."""
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
