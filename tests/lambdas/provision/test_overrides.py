"""What an owner gave for an instance is used again, until he says otherwise."""

from typing import Any

import pytest

from lambdas.fleet.table import read_instance_row, remember_overrides
from lambdas.runtime.errors import InvalidInput
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.conftest import Launch
from tests.lambdas.provision.test_plan_dump_volume import create_volume
from tests.lambdas.provisioning import plan


def remembered(instance_id: str) -> dict[str, Any]:
    row = read_instance_row(aws.FLEET_TABLE, instance_id)
    return dict(row.overrides) if row else {}


def test_the_next_run_without_input_uses_what_was_given_before(launch: Launch, context: Any) -> None:
    instance_id = launch()
    given: dict[str, Any] = {"mountPoint": "/dumps", "sizeGib": 20, "panicSysctls": {"panic_on_oops": 0}}
    plan(context, instance_id, **given, reboot=True)

    planned = plan(context, instance_id)

    assert planned["configureParameters"]["mountPoint"] == ["/dumps"]
    assert planned["configureParameters"]["panic_on_oops"] == ["0"]
    assert planned["volume"]["sizeGib"] == 20
    # A reboot is wished for each time anew.
    assert planned["reboot"] is False
    assert remembered(instance_id) == given


def test_what_is_given_now_comes_first_and_null_forgets(launch: Launch, context: Any) -> None:
    instance_id = launch()
    plan(context, instance_id, mountPoint="/dumps", sizeGib=20, panicSysctls={"panic_on_oops": 0})

    plan(context, instance_id, mountPoint="/crash", sizeGib=None, panicSysctls={"hung_task_panic": 1})

    assert remembered(instance_id) == {
        "mountPoint": "/crash",
        "panicSysctls": {"panic_on_oops": 0, "hung_task_panic": 1},
    }


def test_the_stacks_settings_are_back_on_request(launch: Launch, context: Any) -> None:
    instance_id = launch()
    plan(context, instance_id, mountPoint="/dumps", sizeGib=20)

    planned = plan(context, instance_id, useStackSettings=True, sizeGib=30)

    assert planned["configureParameters"]["mountPoint"] == ["/var/crash"]
    assert remembered(instance_id) == {"sizeGib": 30}


def test_nothing_is_remembered_of_a_plan_that_is_refused(launch: Launch, context: Any) -> None:
    instance_id = launch(instance_type="r5.24xlarge")
    with pytest.raises(InvalidInput):
        plan(context, instance_id, dumpLevel=99)
    with pytest.raises(InvalidInput, match="gp3 allows"):
        plan(context, instance_id, dumpSizeFactor=100)
    assert remembered(instance_id) == {}


def test_a_run_without_overrides_writes_nothing(account: Account, launch: Launch, context: Any) -> None:
    instance_id = launch()
    plan(context, instance_id)
    assert account.named("UpdateItem") == []


def test_what_is_no_longer_valid_says_how_to_go_on(launch: Launch, context: Any) -> None:
    instance_id = launch()
    remember_overrides(aws.FLEET_TABLE, instance_id, {"fileSystem": "btrfs"})
    with pytest.raises(InvalidInput, match=r"fileSystem.*useStackSettings"):
        plan(context, instance_id)


def test_alarms_that_were_listed_for_many_are_not_asked_for_again(
    account: Account, launch: Launch, context: Any
) -> None:
    planned = plan(context, launch(), conflictingAlarms=["web-down: reboot"])
    assert planned["conflictingAlarms"] == ["web-down: reboot"]
    assert account.named("DescribeAlarmsForMetric") == []


def test_a_plan_says_with_which_settings_it_is_made(launch: Launch, context: Any) -> None:
    assert plan(context, launch())["configurationId"] == "settings-of-now"


def test_a_profile_wins_over_the_stack_and_an_input_over_both(launch: Launch, context: Any) -> None:
    instance_id = launch(tags={"hangdump:enrolled": "true", "hangdump:profile": "database"})

    planned = plan(context, instance_id)

    assert planned["configureParameters"]["dumpLevel"] == ["17"]
    assert planned["configureParameters"]["finalAction"] == planned["checkParameters"]["finalAction"] == ["poweroff"]
    assert planned["configureParameters"]["mountPoint"] == ["/var/crash"]
    assert planned["volume"]["sizeGib"] == 40
    assert planned["configurationId"] == "settings-of-database"
    assert remembered(instance_id) == {}, "the tag says so each time"
    given = plan(context, instance_id, dumpLevel=30, sizeGib=50)
    assert given["configureParameters"]["dumpLevel"] == ["30"]
    assert given["configureParameters"]["finalAction"] == ["poweroff"]
    assert given["volume"]["sizeGib"] == 50


def test_a_profile_that_does_not_exist_is_refused_with_those_that_do(launch: Launch, context: Any) -> None:
    instance_id = launch(tags={"hangdump:enrolled": "true", "hangdump:profile": "databse"})
    with pytest.raises(InvalidInput, match=r"is 'databse'; .*one of database"):
        plan(context, instance_id)


def test_the_size_of_a_profile_is_for_a_new_volume(launch: Launch, context: Any) -> None:
    instance_id = launch(tags={"hangdump:enrolled": "true", "hangdump:profile": "database"})
    volume_id = create_volume(instance_id, size=9)
    planned = plan(context, instance_id)["volume"]
    assert (planned["action"], planned["volumeId"]) == ("attach", volume_id)
