"""Keeps what can be seen of an instance before it is interrupted: if the dump fails, there is that.

Owns the looks' running side by side, and their bound. Nothing here may stop an interrupt: what fails is told, never
raised.
"""

import base64
import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from lambdas.incident.object_keys import evidence_object_keys, key_prefix
from lambdas.incident.record import Incident
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import EvidenceBound, VmcoreBucket
from lambdas.runtime.observability import logger

METRICS_HOURS = 3
_METRICS_PERIOD_SECONDS = 60
# Metric -> statistic, all of AWS/EC2 by InstanceId. What a type does not have comes back without values.
METRICS = {
    "StatusCheckFailed_Instance": "Maximum",
    "StatusCheckFailed_System": "Maximum",
    "StatusCheckFailed_AttachedEBS": "Maximum",
    "CPUUtilization": "Maximum",
    "CPUCreditBalance": "Minimum",
    "NetworkIn": "Sum",
    "NetworkOut": "Sum",
    "EBSReadOps": "Sum",
    "EBSWriteOps": "Sum",
    "EBSIOBalance%": "Minimum",
    "EBSByteBalance%": "Minimum",
}


@dataclass(frozen=True)
class Look:
    """One thing to see: `read` takes the instance's id; `name` is that of evidence_keys."""

    name: str
    content_type: str
    read: Callable[[str], bytes]


def _console(instance_id: str) -> bytes:
    answer = clients.ec2_best_effort().get_console_output(InstanceId=instance_id, Latest=True)
    return answer.get("Output", "").encode()


def _screenshot(instance_id: str) -> bytes:
    """A JPG. Without WakeUp, which presses a key: the instance is to be seen as it is."""
    return base64.b64decode(clients.ec2_best_effort().get_console_screenshot(InstanceId=instance_id)["ImageData"])


def _status(instance_id: str) -> bytes:
    """DescribeInstanceStatus' list of one: the checks, since when they fail, and scheduled events."""
    answer = clients.ec2_best_effort().describe_instance_status(InstanceIds=[instance_id], IncludeAllInstances=True)
    return _json(answer["InstanceStatuses"])


def _metrics(instance_id: str) -> bytes:
    """`{"CPUUtilization": {"stat": "Maximum", "values": [["2026-11-23T03:58:00Z", 99.7], …]}, …}`, oldest first."""
    now = moment.now()
    answer = clients.cloudwatch_best_effort().get_metric_data(
        MetricDataQueries=[
            {
                "Id": f"m{number}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/EC2",
                        "MetricName": name,
                        "Dimensions": [{"Name": "InstanceId", "Value": instance_id}],
                    },
                    "Period": _METRICS_PERIOD_SECONDS,
                    "Stat": stat,
                },
            }
            for number, (name, stat) in enumerate(METRICS.items())
        ],
        StartTime=now - timedelta(hours=METRICS_HOURS),
        EndTime=now,
        ScanBy="TimestampAscending",
    )
    found = {result["Id"]: result for result in answer["MetricDataResults"]}
    return _json(
        {
            name: {"stat": stat, "values": _values(found.get(f"m{number}", {}))}
            for number, (name, stat) in enumerate(METRICS.items())
        }
    )


def _values(result: Mapping[str, Any]) -> list[list[Any]]:
    points = zip(result.get("Timestamps", []), result.get("Values", []), strict=False)
    return [[moment.iso(at), value] for at, value in points]


def _json(value: Any) -> bytes:
    def as_text(other: Any) -> str:
        return moment.iso(other) if isinstance(other, datetime) else str(other)

    return (json.dumps(value, indent=2, default=as_text) + "\n").encode()


LOOKS = (
    Look("consoleBefore", "text/plain; charset=utf-8", _console),
    Look("screenshotBefore", "image/jpeg", _screenshot),
    Look("statusBefore", "application/json", _status),
    Look("metricsBefore", "application/json", _metrics),
)


@dataclass(frozen=True)
class Kept:
    """What was stored, name -> key, and what was not, with the reason."""

    keys: dict[str, str]
    problems: list[str]


class EvidenceFirst:
    """Looks from the moment it is entered, so that the looks cost no time beside the claim; stores when told to.

    What is seen after `finish` is thrown away: it may be from after the interrupt.
    """

    def __init__(self, incident: Incident) -> None:
        self._instance_id = incident.instance_id
        self._keys = evidence_object_keys(
            key_prefix(
                account_id=incident.account_id,
                region=incident.region,
                instance_id=incident.instance_id,
                incident=incident.incident_id,
            )
        )
        self._is_over = False
        self._bound_seconds = 0
        self._problems: list[str] = []
        self._seen: dict[str, Future[bytes]] = {}
        self._stored: dict[str, Future[None]] = {}
        # Two for each: its look, and the storing that waits for it.
        self._threads = ThreadPoolExecutor(2 * len(LOOKS), thread_name_prefix="evidence")

    def __enter__(self) -> Self:
        try:
            self._bound_seconds = EvidenceBound.read().evidence_timeout_seconds
        except ValueError as error:
            self._problems.append(f"The settings: {error}")
        if self._bound_seconds:
            # Made here: boto3 does not make clients thread-safely.
            for make in (clients.ec2_best_effort, clients.cloudwatch_best_effort, clients.s3_best_effort):
                make()
            self._seen = {look.name: self._threads.submit(look.read, self._instance_id) for look in LOOKS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        # Bounded by the clients' own time-outs, and nobody waits for what comes after an interrupt.
        self._threads.shutdown(wait=True, cancel_futures=True)

    def store(self) -> None:
        """Begins to store. For who holds the claim: nobody else may write under this incident's name."""
        self._stored = {look.name: self._threads.submit(self._store, look) for look in LOOKS if self._seen}

    def finish(self) -> Kept:
        """Waits, within the bound, for what was begun, and ends it."""
        wait(self._stored.values(), timeout=self._bound_seconds)
        self._is_over = True
        keys = {}
        for name, storing in self._stored.items():
            problem = self._problem_of(storing)
            if problem is None:
                keys[name] = self._keys[name]
            else:
                self._problems.append(f"{name}: {problem}")
        for problem in self._problems:
            logger.warning("Not stored before the interrupt: %s", problem)
        return Kept(keys, self._problems)

    def _store(self, look: Look) -> None:
        body = self._seen[look.name].result(timeout=self._bound_seconds)
        if self._is_over:
            return
        bucket = VmcoreBucket.read()
        clients.s3_best_effort().put_object(
            Bucket=bucket.bucket_name,
            Key=self._keys[look.name],
            Body=body,
            ContentType=look.content_type,
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=bucket.key_arn,
        )

    def _problem_of(self, storing: "Future[None]") -> str | None:
        if not storing.done():
            return f"not stored within {self._bound_seconds} s."
        error = storing.exception()
        if error is not None and not isinstance(error, Exception):
            # The process ends. Of everything else, an error of ours included: evidence is worth less than the dump.
            raise error
        return None if error is None else f"{type(error).__name__}: {error}"
