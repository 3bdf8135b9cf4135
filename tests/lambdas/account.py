"""A small AWS account for the handlers: moto where it is faithful, hand-written answers where it is not.

Owns what the tests turn (status checks, console, probe, ping, the interrupt) and the log of every call made. A `Crash`
ends a handler at a chosen call as the death of its process would: nothing after it runs, not even clean-up.
"""

import base64
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from lambdas.incident.record import Incident
from lambdas.incident.table import IncidentTable
from lambdas.runtime import clients
from tests.lambdas.bucket import Bucket

ACCOUNT_ID = "123456789012"
REGION = "eu-west-1"
TABLE = "incidents"
FLEET_TABLE = "fleet"
BUCKET = "vmcores"
KEY_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/1"
RESCUE_ARN = f"arn:aws:states:{REGION}:{ACCOUNT_ID}:stateMachine:RescueVmcore"
ANALYZE_ARN = f"arn:aws:states:{REGION}:{ACCOUNT_ID}:stateMachine:AnalyzeVmcore"
DRILL_ARN = f"arn:aws:states:{REGION}:{ACCOUNT_ID}:stateMachine:DrillDump"
PROVISION_ARN = f"arn:aws:states:{REGION}:{ACCOUNT_ID}:stateMachine:ProvisionDumpVolume"
COLLECT_ARN = f"arn:aws:states:{REGION}:{ACCOUNT_ID}:stateMachine:CollectVmcore"
# Before it was seen ready.
LAUNCHED_AT = datetime(2026, 11, 21, tzinfo=UTC)
NOW = datetime(2026, 11, 23, 4, 0, 30, tzinfo=UTC)
READY_SINCE_LAUNCH = {"hangdump:enrolled": "true", "hangdump:ready": "2026-11-23T03:30:00Z"}

Answer = Callable[[dict[str, Any]], Any]


class Crash(BaseException):
    """The process died here. No Exception, so that no handler of exceptions sees it."""


@dataclass
class Call:
    """One API call, in order."""

    operation: str
    parameters: dict[str, Any]


@dataclass
class Account:
    """What the tests turn and what they look at."""

    system_status: str = "ok"
    instance_status: str = "impaired"
    # When the check of the instance began to fail, and those of others in its zone.
    impaired_since: datetime = datetime(2026, 11, 23, 3, 57, 30, tzinfo=UTC)
    impaired_in_zone: list[datetime] = field(default_factory=list)
    # What watch_fleet sees of the whole fleet: impaired instances and silent ones, since when.
    impaired_fleet: dict[str, datetime] = field(default_factory=dict)
    silent_fleet: dict[str, datetime] = field(default_factory=dict)
    # What State Manager says of an instance: the last run of each association.
    association_runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    # EBS writes in each period of five minutes, by its beginning.
    ebs_writes: dict[datetime, float] = field(default_factory=dict)
    cpu_credits: str = "unlimited"
    credit_balance: float = 100.0
    attached_ebs_status: str | None = "ok"
    console: str = "[    1.0] login:"
    screenshot: bytes = b"\xff\xd8\xff a JPG"
    ping_status: str | None = "Online"
    last_ping_at: datetime = datetime(2026, 11, 23, 3, 58, tzinfo=UTC)
    # Of instances whose agents pinged at another time.
    pings: dict[str, datetime] = field(default_factory=dict)
    platform_type: str = "Linux"
    probe_status: str = "Pending"
    probe_details: str = ""
    probe_stdout: str = ""
    interrupts_switch: str = "on"
    # A number of calls after which the process dies; None: never.
    crash_before_call: int | None = None
    errors: dict[str, Exception] = field(default_factory=dict)
    # Called before the operation, outside of any lock: threads meet here.
    meetings: dict[str, Callable[[], object]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    topic_arn: str = ""
    bucket: Bucket = field(default_factory=Bucket)
    lock: threading.RLock = field(default_factory=threading.RLock)
    command_ids: Any = field(default_factory=lambda: itertools.count(1))

    def named(self, operation: str) -> list[dict[str, Any]]:
        """The parameters of every call of that name that reached AWS."""
        return [call.parameters for call in self.calls if call.operation == operation]

    @property
    def interrupts(self) -> list[str]:
        """The instances that got a diagnostic interrupt."""
        return [str(call["InstanceId"]) for call in self.named("SendDiagnosticInterrupt")]

    @property
    def messages(self) -> list[str]:
        """What SNS was asked to send."""
        return [f"{call['Subject']}\n{call['Message']}" for call in self.named("Publish")]

    @property
    def executions(self) -> list[str]:
        """The names of the executions that exist."""
        listed = clients.stepfunctions().list_executions(stateMachineArn=COLLECT_ARN)
        return sorted(execution["name"] for execution in listed["executions"])

    def fail(self, operation: str, code: str) -> None:
        """From now on that operation answers with this error code."""
        self.errors[operation] = ClientError({"Error": {"Code": code, "Message": "as the test says"}}, operation)

    def heal(self) -> None:
        """No more errors and no more crashes."""
        self.errors.clear()
        self.crash_before_call = None

    def answer(self, client: BaseClient, operation: str, parameters: dict[str, Any], forward: Answer) -> Any:
        """Every API call of the handlers comes through here."""
        with self.lock:
            if self.crash_before_call is not None and len(self.calls) >= self.crash_before_call:
                raise Crash(operation)
            self.calls.append(Call(operation, parameters))
        if operation == "SendCommand":
            # Without it the default version runs, which an update of the stack may have left behind.
            assert parameters["DocumentVersion"] == "$LATEST"
        if operation in self.meetings:
            self.meetings[operation]()
        if operation in self.errors:
            raise self.errors[operation]
        own = getattr(self, f"_{operation}", None) or getattr(self.bucket, operation, None)
        if own is not None:
            return own(parameters)
        # moto checks conditions and writes in two steps; DynamoDB does both in one.
        with self.lock:
            return forward(parameters)

    def _SendDiagnosticInterrupt(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - the operation's name
        return {}

    def _DescribeInstanceStatus(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if "availability-zone" not in (names := [each["Name"] for each in parameters.get("Filters", [])]) and names:
            fleet = self.impaired_fleet.items()
            return {"InstanceStatuses": [{"InstanceId": each} | self._impaired(since) for each, since in fleet]}
        if names:
            return {"InstanceStatuses": [self._impaired(at) for at in (self.impaired_since, *self.impaired_in_zone)]}
        status: dict[str, Any] = {
            "InstanceId": parameters["InstanceIds"][0],
            "SystemStatus": {"Status": self.system_status},
            "InstanceStatus": {"Status": self.instance_status},
            "Events": self.events,
        }
        if self.instance_status == "impaired":
            status |= self._impaired(self.impaired_since)
        if self.attached_ebs_status is not None:
            status["AttachedEbsStatus"] = {"Status": self.attached_ebs_status}
        return {"InstanceStatuses": [status]}

    @staticmethod
    def _impaired(since: datetime) -> dict[str, Any]:
        detail = {"Name": "reachability", "Status": "failed", "ImpairedSince": since}
        return {"InstanceStatus": {"Status": "impaired", "Details": [detail]}}

    def _DescribeInstanceCreditSpecifications(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        (instance_id,) = parameters["InstanceIds"]
        return {"InstanceCreditSpecifications": [{"InstanceId": instance_id, "CpuCredits": self.cpu_credits}]}

    def _GetConsoleOutput(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert parameters["Latest"] is True
        return {"InstanceId": parameters["InstanceId"], "Output": self.console}

    def _GetConsoleScreenshot(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"InstanceId": parameters["InstanceId"], "ImageData": base64.b64encode(self.screenshot).decode()}

    def _GetMetricData(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        at = parameters["EndTime"].replace(second=0)
        known = {"EBSWriteOps": self.ebs_writes, "CPUCreditBalance": {at: self.credit_balance}}
        results = []
        for query in parameters["MetricDataQueries"]:
            points = known.get(query["MetricStat"]["Metric"]["MetricName"], {at: 1.0})
            points = {began: value for began, value in points.items() if began >= parameters["StartTime"]}
            results.append({"Id": query["Id"], "Timestamps": list(points), "Values": list(points.values())})
        return {"MetricDataResults": results}

    def _DescribeInstanceInformation(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if parameters["Filters"][0]["Key"] == "AssociationStatus":
            failed = [
                name for name, runs in self.association_runs.items() if any(r["Status"] == "Failed" for r in runs)
            ]
            return {"InstanceInformationList": [{"InstanceId": each} for each in failed]}
        if parameters["Filters"][0]["Key"] == "PingStatus":
            fleet = self.silent_fleet.items()
            return {"InstanceInformationList": [{"InstanceId": each, "LastPingDateTime": at} for each, at in fleet]}
        if self.ping_status is None:
            return {"InstanceInformationList": []}
        information = {"PingStatus": self.ping_status, "PlatformType": self.platform_type}
        asked = parameters["Filters"][0]["Values"]
        return {
            "InstanceInformationList": [
                {"InstanceId": each, "LastPingDateTime": self.pings.get(each, self.last_ping_at), **information}
                for each in asked
            ]
        }

    def _DescribeInstanceAssociationsStatus(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"InstanceAssociationStatusInfos": self.association_runs[parameters["InstanceId"]]}

    def _GetParameter(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert parameters["Name"] == "/hangdump/interrupts"
        return {"Parameter": {"Name": parameters["Name"], "Value": self.interrupts_switch}}

    def _DescribeAutoScalingInstances(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"AutoScalingInstances": []}

    def _Invoke(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"StatusCode": 202}

    def _SendCommand(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Command": {"CommandId": f"command-{next(self.command_ids)}"}}

    def _GetCommandInvocation(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {
            "Status": self.probe_status,
            "StatusDetails": self.probe_details or self.probe_status,
            "StandardOutputContent": self.probe_stdout,
        }


def read_record(incident_id: str) -> Incident:
    """The incident record, which must be there."""
    found = IncidentTable(TABLE).read(incident_id)
    assert found is not None, f"no record of {incident_id}"
    return found
