"""The way back from Standby, and what is told when there is none."""

from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from infra.respond.standby import LONGEST_SECONDS
from lambdas.handlers import return_from_standby
from lambdas.incident.record import Incident, State
from lambdas.incident.table import create_incident
from tests.lambdas import account as aws
from tests.lambdas.account import Account, read_record
from tests.lambdas.auto_scaling_group import GROUP, AutoScalingGroup
from tests.lambdas.conftest import Clock

ID = "i-0123456789abcdef0"
INCIDENT = f"20261123T040000Z-{ID}"


@pytest.fixture
def group(account: Account) -> AutoScalingGroup:
    held = Incident(incident_id=INCIDENT, instance_id=ID, state=State.INTERRUPTED, auto_scaling_group=GROUP)
    create_incident(aws.TABLE, held)
    return AutoScalingGroup(account, lifecycle_state="Standby")


def bring_back(context: Any) -> str:
    answer = return_from_standby.handler({"incident": {"incidentId": INCIDENT}, "executionName": "x"}, context)
    return str(answer["status"])


def test_it_goes_back_into_service_once(account: Account, group: AutoScalingGroup, context: Any) -> None:
    assert bring_back(context) == "returned"
    assert group.history == ["Pending"]
    assert bring_back(context) == "none"
    assert len(account.named("ExitStandby")) == 1
    assert account.messages == []


def test_it_is_waited_for_while_it_is_on_its_way_into_standby(
    account: Account, group: AutoScalingGroup, context: Any, clock: Clock
) -> None:
    group.lifecycle_state = "InService"
    group.drains_seconds = 300
    group._EnterStandby({"AutoScalingGroupName": GROUP, "ShouldDecrementDesiredCapacity": False})
    assert bring_back(context) == "returned"
    assert group.history == ["EnteringStandby", "Standby", "Pending"]


@pytest.mark.parametrize("state", ["InService", "Pending", "Terminating:Wait", ""])
def test_what_is_no_longer_in_standby_is_left_alone(
    account: Account, group: AutoScalingGroup, context: Any, state: str
) -> None:
    group.lifecycle_state = state
    assert bring_back(context) == "gone"
    assert group.history == []
    assert not read_record(INCIDENT).auto_scaling_group


def test_a_full_group_is_told_of_with_both_ways_out(account: Account, group: AutoScalingGroup, context: Any) -> None:
    group.is_full = True
    assert bring_back(context) == "left"
    (message,) = account.messages
    assert f"{ID} is left in Standby" in message
    assert f"exit-standby --auto-scaling-group-name {GROUP} --instance-ids {ID}" in message
    assert "terminate-instance-in-auto-scaling-group" in message
    assert "max-size=1" in message
    # The sweep has to find it.
    assert read_record(INCIDENT).auto_scaling_group == GROUP


def test_one_that_never_gets_there_is_told_of_before_the_function_runs_out_of_time(
    account: Account, group: AutoScalingGroup, context: Any, clock: Clock
) -> None:
    group.lifecycle_state = "EnteringStandby"
    assert bring_back(context) == "left"
    assert (clock.at - aws.NOW).total_seconds() < LONGEST_SECONDS - 60
    assert "EnteringStandby" in account.messages[0]


def test_a_change_of_the_group_that_is_under_way_is_waited_for(
    account: Account, group: AutoScalingGroup, context: Any
) -> None:
    account.fail("ExitStandby", "ResourceContention")
    left = iter(range(3))

    def heal_after_three() -> None:
        if next(left, None) is None:
            account.heal()

    account.meetings["ExitStandby"] = heal_after_three
    assert bring_back(context) == "returned"


def test_an_answer_that_was_lost_counts_once(account: Account, group: AutoScalingGroup, context: Any) -> None:
    leave = account._ExitStandby  # type: ignore[attr-defined]

    def lose_the_answer(parameters: dict[str, Any]) -> None:
        leave(parameters)
        raise ConnectTimeoutError(endpoint_url="https://autoscaling")

    account._ExitStandby = lose_the_answer  # type: ignore[attr-defined]
    assert bring_back(context) == "gone"
    assert len(account.named("ExitStandby")) == 1


@pytest.mark.parametrize("event", [{}, {"incident": None}, {"incident": {}}, {"incident": {"incidentId": "nowhere"}}])
def test_an_execution_that_never_had_an_incident_holds_nothing(
    account: Account, context: Any, event: dict[str, Any]
) -> None:
    assert return_from_standby.handler(event, context) == {"status": "none", "detail": ""}
