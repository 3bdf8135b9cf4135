"""An Auto Scaling group for the handlers: one member, whose lifecycle state moves as time passes."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from lambdas.runtime import moment
from tests.lambdas.account import Account

GROUP = "shop"


@dataclass
class AutoScalingGroup:
    """What tests turn: how long the way into Standby takes (None: for ever), and what is refused."""

    account: Account
    lifecycle_state: str = "InService"
    drains_seconds: int | None = 0
    is_full: bool = False
    suspended: tuple[str, ...] = ()
    # Every state that it was in, and whether EnterStandby asked for another instance in its place.
    history: list[str] = field(default_factory=list)
    is_replaced: bool | None = None
    standby_at: datetime | None = None

    def __post_init__(self) -> None:
        for operation in ("DescribeAutoScalingGroups", "DescribeAutoScalingInstances", "EnterStandby", "ExitStandby"):
            setattr(self.account, f"_{operation}", getattr(self, f"_{operation}"))

    def _DescribeAutoScalingInstances(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if self.standby_at is not None and moment.now() >= self.standby_at:
            self._enter("Standby")
            self.standby_at = None
        (asked,) = parameters["InstanceIds"]
        member = {"InstanceId": asked, "AutoScalingGroupName": GROUP, "LifecycleState": self.lifecycle_state}
        return {"AutoScalingInstances": [member] if self.lifecycle_state else []}

    def _DescribeAutoScalingGroups(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert parameters["AutoScalingGroupNames"] == [GROUP]
        return {"AutoScalingGroups": [{"SuspendedProcesses": [{"ProcessName": each} for each in self.suspended]}]}

    def _EnterStandby(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._require("InService", parameters)
        self.is_replaced = not parameters["ShouldDecrementDesiredCapacity"]
        self._enter("EnteringStandby")
        if self.drains_seconds is not None:
            self.standby_at = moment.now() + timedelta(seconds=self.drains_seconds)
        return {"Activities": []}

    def _ExitStandby(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._require("Standby", parameters)
        if self.is_full:
            raise _invalid("ExitStandby", f"AutoScalingGroup {GROUP} has max-size=1")
        self._enter("Pending")
        return {"Activities": []}

    def _require(self, state: str, parameters: dict[str, Any]) -> None:
        assert parameters["AutoScalingGroupName"] == GROUP
        if self.lifecycle_state != state:
            raise _invalid("Standby", f"The instance is not in {state}")

    def _enter(self, state: str) -> None:
        self.lifecycle_state = state
        self.history.append(state)


def _invalid(operation: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": "ValidationError", "Message": message}}, operation)
