"""The end of what an execution made: removed by its tags until nothing is left, or until the sweep takes over."""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation import grants
from infra.foundation.functions import Function, FunctionConfig
from infra.parts import Parts
from infra.settings import Settings
from infra.short_lived.grants import MADE_BY_US, remove
from infra.short_lived.instance import InstanceProfile
from infra.states.poll import Poll, polling
from infra.states.tasks import ClosedFragment, FunctionCall, set_fields, task

# A terminated instance first shuts down, which can take minutes.
REMOVE_SECONDS = 1200


@dataclass(frozen=True)
class ShortLived:
    """What all short-lived instances share: their profile, and the function that removes them."""

    profile: InstanceProfile
    remove_rescue: Function


def removal(scope: Construct, parts: Parts) -> FunctionConfig:
    """What the function that removes needs."""
    return FunctionConfig(
        environment=[parts.incidents.records],
        statements=[
            grants.read_incidents_and_drills(parts.incidents.table),
            grants.read("ec2:DescribeInstances", "ec2:DescribeSnapshots", "ec2:DescribeVolumes"),
            *remove(cdk.Stack.of(scope)),
        ],
        acknowledged={
            grants.ANY_SNAPSHOT: MADE_BY_US,
            grants.wildcard("ec2:instance/*"): MADE_BY_US,
            grants.wildcard("ec2:volume/*"): MADE_BY_US,
        },
    )


class RemoveMade(ClosedFragment):
    """Leads to `then` in any case, with `{"isAnythingLeft","left"}` at `result_path`. Leftovers must not delay the end:
    they are reported, and the sweep removes them."""

    def __init__(
        self,
        scope: Construct,
        title: str,
        *,
        function: Function,
        result_path: str,
        settings: Settings,
        then: sfn.IChainable,
    ) -> None:
        super().__init__(scope, f"{title} states")
        unknown = set_fields(
            self, "Begin to remove", {"isAnythingLeft": True, "left": ["what it made"]}, result_path=result_path
        )
        execution = {"executionName.$": "$$.Execution.Name", "executionId.$": "$$.Execution.Id"}
        call = FunctionCall(function, execution)
        check = task(self, title, call, result_path=result_path)
        polls = polling(REMOVE_SECONDS, settings.poll_seconds, max_polls=60)
        loop = Poll(self, "Remove until nothing is left", check=check, polling=polls)
        nothing_left = sfn.Condition.boolean_equals(f"{result_path}.isAnythingLeft", False)
        loop.ends_when(nothing_left, then).goes_on_after_errors("$.unremoved").gives_up(then)
        unknown.next(loop.start_state)
        self._start = unknown
