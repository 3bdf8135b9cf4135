"""Stores an instance's console, screenshot, status and metrics before the interrupt, in case the dump fails.

The items are read in parallel within a time limit. A failure here must not stop the interrupt: it is recorded, never
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
from lambdas.instance.hypervisor_metrics import metric_queries
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import EvidenceBound, VmcoreBucket
from lambdas.runtime.observability import logger

METRICS_HOURS = 3
_METRICS_PERIOD_SECONDS = 60
# Metric -> statistic; all are of AWS/EC2 by InstanceId. A metric that the instance type lacks comes back empty.
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
class EvidenceItem:
    """One item to store: `read` takes the instance's id; `name` is the item's name in evidence_keys."""

    name: str
    content_type: str
    read: Callable[[str], bytes]


def _console(instance_id: str) -> bytes:
    answer = clients.ec2_best_effort().get_console_output(InstanceId=instance_id, Latest=True)
    return answer.get("Output", "").encode()


def _screenshot(instance_id: str) -> bytes:
    """A JPG. Without WakeUp, which presses a key and so would change the screen."""
    return base64.b64decode(clients.ec2_best_effort().get_console_screenshot(InstanceId=instance_id)["ImageData"])


def _status(instance_id: str) -> bytes:
    """DescribeInstanceStatus' list of one: the checks, when they began to fail, and scheduled events."""
    answer = clients.ec2_best_effort().describe_instance_status(InstanceIds=[instance_id], IncludeAllInstances=True)
    return _json(answer["InstanceStatuses"])


def _metrics(instance_id: str) -> bytes:
    """`{"CPUUtilization": {"stat": "Maximum", "values": [["2026-11-23T03:58:00Z", 99.7], …]}, …}`, oldest first."""
    now = moment.now()
    answer = clients.cloudwatch_best_effort().get_metric_data(
        MetricDataQueries=metric_queries(instance_id, METRICS, period_seconds=_METRICS_PERIOD_SECONDS),
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


_ITEMS = (
    EvidenceItem("consoleBefore", "text/plain; charset=utf-8", _console),
    EvidenceItem("screenshotBefore", "image/jpeg", _screenshot),
    EvidenceItem("statusBefore", "application/json", _status),
    EvidenceItem("metricsBefore", "application/json", _metrics),
)


@dataclass(frozen=True)
class Kept:
    """The keys of the stored items by name, and why the others were not stored."""

    keys: dict[str, str]
    problems: list[str]


class EvidenceFirst:
    """Reads the items from `__enter__` on, while the claim is made; `store` writes them to the bucket.

    An item that arrives after `finish` is thrown away: it may show the instance after the interrupt.
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
        self._read: dict[str, Future[bytes]] = {}
        self._stored: dict[str, Future[None]] = {}
        # Two for each item: one reads it, one waits for that and stores it.
        self._threads = ThreadPoolExecutor(2 * len(_ITEMS), thread_name_prefix="evidence")

    def __enter__(self) -> Self:
        try:
            self._bound_seconds = EvidenceBound.read().evidence_timeout_seconds
        except ValueError as error:
            self._problems.append(f"The settings: {error}")
        if self._bound_seconds:
            # Create the clients before the threads start: boto3 does not create clients thread-safely.
            for make in (clients.ec2_best_effort, clients.cloudwatch_best_effort, clients.s3_best_effort):
                make()
            self._read = {item.name: self._threads.submit(item.read, self._instance_id) for item in _ITEMS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        # The clients' timeouts bound this wait, and nothing after the interrupt is urgent.
        self._threads.shutdown(wait=True, cancel_futures=True)

    def store(self) -> None:
        """Starts to write. Call it only with the claim: nobody else may write this incident's objects."""
        self._stored = {item.name: self._threads.submit(self._store, item) for item in _ITEMS if self._read}

    def finish(self) -> Kept:
        """Waits for the writes until the time limit, then drops the rest."""
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

    def _store(self, item: EvidenceItem) -> None:
        body = self._read[item.name].result(timeout=self._bound_seconds)
        if self._is_over:
            return
        bucket = VmcoreBucket.read()
        clients.s3_best_effort().put_object(
            Bucket=bucket.bucket_name,
            Key=self._keys[item.name],
            Body=body,
            ContentType=item.content_type,
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=bucket.key_arn,
        )

    def _problem_of(self, storing: "Future[None]") -> str | None:
        if not storing.done():
            return f"not stored within {self._bound_seconds} s."
        error = storing.exception()
        if error is not None and not isinstance(error, Exception):
            # The process is ending. Every other error is only recorded: the dump matters more than this evidence.
            raise error
        return None if error is None else f"{type(error).__name__}: {error}"
