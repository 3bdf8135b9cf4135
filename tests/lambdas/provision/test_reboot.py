"""Who reboots an instance whose group might replace it meanwhile."""

from typing import Any

import pytest

from tests.lambdas.account import Account
from tests.lambdas.auto_scaling_group import GROUP, AutoScalingGroup
from tests.lambdas.conftest import Launch
from tests.lambdas.provisioning import plan

MEMBER = {"hangdump:enrolled": "true", "aws:autoscaling:groupName": GROUP}


@pytest.fixture
def group(account: Account) -> AutoScalingGroup:
    return AutoScalingGroup(account)


def test_an_instance_in_service_in_a_group_is_not_rebooted_and_it_says_why(
    group: AutoScalingGroup, launch: Launch, context: Any
) -> None:
    planned = plan(context, launch(tags=MEMBER), reboot=True)
    assert planned["reboot"] is False
    assert planned["configureParameters"]["reboot"] == ["false"]
    assert planned["whyNotReboot"].startswith("It is InService in the Auto Scaling group shop, which may replace it")


@pytest.mark.parametrize("suspended", ["HealthCheck", "ReplaceUnhealthy", "Terminate"])
def test_a_group_that_replaces_nothing_is_no_reason(
    group: AutoScalingGroup, launch: Launch, context: Any, suspended: str
) -> None:
    group.suspended = ("Launch", suspended)
    assert plan(context, launch(tags=MEMBER), reboot=True)["reboot"] is True


@pytest.mark.parametrize("state", ["Standby", "Pending:Wait", ""], ids=["in-standby", "launch-hook", "left-the-group"])
def test_an_instance_that_its_group_leaves_alone_is_rebooted(
    group: AutoScalingGroup, launch: Launch, context: Any, state: str
) -> None:
    group.lifecycle_state = state
    assert plan(context, launch(tags=MEMBER), reboot=True)["reboot"] is True


def test_the_group_is_not_asked_when_nobody_wants_a_reboot(account: Account, launch: Launch, context: Any) -> None:
    assert plan(context, launch(tags=MEMBER))["whyNotReboot"] == ""
    assert not account.named("DescribeAutoScalingInstances")
