"""The request rates that AWS grants an account, as token buckets: for scenarios with many instances at once.

Refuses in the service's own shape where the answer would come from, so that the SDK's retries run as they are. A state
makes one attempt: what Step Functions' own client retries is documented nowhere.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

from lab.aws.patches import Patches
from lab.simulator.scheduler import scheduler


@dataclass(frozen=True)
class Rate:
    """How many requests at once, and how many a second after that."""

    size: float
    refill: float


# EC2: "Request throttling for the Amazon EC2 API"; its actions have a bucket each, by their kind.
_EC2_OTHERS = {
    "CreateTags": Rate(100, 10),
    "CreateVolume": Rate(100, 5),
    "DeleteVolume": Rate(100, 5),
    "CreateSnapshot": Rate(100, 5),
    "DeleteSnapshot": Rate(100, 5),
    "RunInstances": Rate(5, 2),
    "StartInstances": Rate(5, 2),
    "TerminateInstances": Rate(100, 5),
}
_EC2_READING = Rate(100, 20)
_EC2_READING_ALL = Rate(50, 10)
_EC2_CHANGING = Rate(50, 5)
# These without a filter and without ids are dearer.
_LISTS = ("DescribeInstances", "DescribeInstanceStatus", "DescribeVolumes", "DescribeSnapshots")
_OTHERS = {
    # "CloudWatch service quotas", requests a second. The size of the bucket is not documented: one second's.
    ("cloudwatch", "PutMetricAlarm"): Rate(3, 3),
    ("cloudwatch", "DeleteAlarms"): Rate(3, 3),
    ("cloudwatch", "DescribeAlarms"): Rate(9, 9),
    ("cloudwatch", "DescribeAlarmsForMetric"): Rate(9, 9),
    ("cloudwatch", "GetMetricData"): Rate(50, 50),
    # "Step Functions service quotas", of the smaller Regions.
    ("sfn", "StartExecution"): Rate(800, 150),
    ("sfn", "DescribeExecution"): Rate(250, 10),
    # Published nowhere; one of the lower values that are reported for Systems Manager's calls.
    ("ssm", "SendCommand"): Rate(25, 5),
    ("ssm", "GetCommandInvocation"): Rate(50, 20),
    ("ssm", "DescribeInstanceInformation"): Rate(25, 10),
}


@dataclass(frozen=True)
class Bucket:
    """What requests of one kind share: "ec2:CreateVolume"."""

    name: str
    rate: Rate


class Tokens:
    """What an account's buckets hold."""

    def __init__(self) -> None:
        # Bucket -> (tokens, the time when it held them)
        self._held: dict[str, tuple[float, float]] = {}

    def take(self, bucket: Bucket, now: float) -> bool:
        """Whether a request at this time is granted."""
        tokens, since = self._held.get(bucket.name, (bucket.rate.size, now))
        tokens = min(bucket.rate.size, tokens + (now - since) * bucket.rate.refill)
        is_granted = tokens >= 1
        self._held[bucket.name] = (tokens - is_granted, now)
        return is_granted


class RequestRates:
    """Install it in an account; `throttled` counts what was refused, by service and operation."""

    def __init__(self) -> None:
        self.throttled: Counter[str] = Counter()
        # Somebody else uses up all rates until then.
        self.used_up_until = 0.0
        # Called with who asks ("CollectVmcore / Find vmcore", "plan_upload") and with the bucket, before each request.
        self.on_request: Callable[[str, Bucket | None], None] = lambda _caller, _bucket: None
        self._tokens = Tokens()

    def install(self, patches: Patches) -> None:
        def make(original: Any) -> Any:
            def answer(stubber: BotocoreStubber, event_name: str, request: Any, **kwargs: Any) -> Any:
                _, service, operation = event_name.split(".")
                context = scheduler.current_context()
                caller = context.get("state") or context.get("function")
                # What a scenario itself looks at costs the account nothing.
                if caller and not self._take(caller, bucket_of(service, operation, request)):
                    self.throttled[f"{service}:{operation}"] += 1
                    return _refusal(service, request)
                return original(stubber, event_name, request, **kwargs)

            return answer

        patches.replace(BotocoreStubber, "__call__", make)

    def _take(self, caller: str, bucket: Bucket | None) -> bool:
        self.on_request(caller, bucket)
        if scheduler.now < self.used_up_until:
            return False
        return bucket is None or self._tokens.take(bucket, scheduler.now)


def bucket_of(service: str, operation: str, request: Any) -> Bucket | None:
    """None: no rate is known."""
    name, rate = f"{service}:{operation}", _OTHERS.get((service, operation))
    if service == "ec2":
        rate = _EC2_READING if operation.startswith(("Describe", "Get")) else _EC2_OTHERS.get(operation, _EC2_CHANGING)
        body = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
        if operation in _LISTS and not any(mark in body for mark in ("Filter.", "Id.", "MaxResults")):
            name, rate = f"{name} of all", _EC2_READING_ALL
    return Bucket(name, rate) if rate else None


def _refusal(service: str, request: Any) -> AWSResponse:
    if service == "ec2":
        error = "<Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error>"
        status, body = 503, f"<Response><Errors>{error}</Errors><RequestID>throttled</RequestID></Response>"
    else:
        status, body = 400, json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"})
    return AWSResponse(request.url, status, HTTPHeaders(), MockRawResponse(body))
