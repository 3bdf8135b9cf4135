"""Instances that are machines: interrupt, console, status checks, power."""

import base64
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.aws.account import LabAccount
from lab.machines.scripted_machine import ScriptedMachine
from tests.lab.aws.waiting import eventually


def _state(account: LabAccount, instance_id: str) -> str:
    reservations = account.client("ec2").describe_instances(InstanceIds=[instance_id])["Reservations"]
    name: str = reservations[0]["Instances"][0]["State"]["Name"]
    return name


def _reason(account: LabAccount, instance_id: str) -> str:
    reservations = account.client("ec2").describe_instances(InstanceIds=[instance_id])["Reservations"]
    code: str = reservations[0]["Instances"][0].get("StateReason", {}).get("Code", "")
    return code


def _status(account: LabAccount, instance_id: str) -> Any:
    answer = account.client("ec2").describe_instance_status(InstanceIds=[instance_id], IncludeAllInstances=True)
    return answer["InstanceStatuses"][0]


def test_a_diagnostic_interrupt_reaches_the_machine_as_one_nmi(account: LabAccount) -> None:
    machine = ScriptedMachine()
    account.client("ec2").send_diagnostic_interrupt(InstanceId=account.add_instance(machine))
    assert machine.nmi_count == 1


def test_a_dry_run_interrupts_nothing(account: LabAccount) -> None:
    machine = ScriptedMachine()
    with pytest.raises(ClientError, match="DryRunOperation"):
        account.client("ec2").send_diagnostic_interrupt(InstanceId=account.add_instance(machine), DryRun=True)
    assert machine.nmi_count == 0


@pytest.mark.parametrize(
    ("instance_type", "architecture"), [("t4g.micro", "arm64"), ("t2.micro", "x86_64")], ids=["Graviton", "Xen"]
)
def test_types_without_the_interrupt_refuse_it(account: LabAccount, instance_type: str, architecture: str) -> None:
    machine = ScriptedMachine()
    instance_id = account.add_instance(machine, instance_type=instance_type, architecture=architecture)
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        account.client("ec2").send_diagnostic_interrupt(InstanceId=instance_id)
    assert machine.nmi_count == 0


@pytest.mark.parametrize(
    ("instance_id", "code"),
    [("i-00000000000000000", "InvalidInstanceID.NotFound"), ("i-nonsense", "InvalidInstanceID.Malformed")],
)
def test_an_interrupt_for_no_instance_is_an_error(account: LabAccount, instance_id: str, code: str) -> None:
    with pytest.raises(ClientError, match=code):
        account.client("ec2").send_diagnostic_interrupt(InstanceId=instance_id)


def test_a_stopped_instance_refuses_the_interrupt(account: LabAccount) -> None:
    machine = ScriptedMachine()
    instance_id = account.add_instance(machine)
    account.client("ec2").stop_instances(InstanceIds=[instance_id])
    assert eventually(lambda: _state(account, instance_id) == "stopped")
    with pytest.raises(ClientError, match="IncorrectInstanceState"):
        account.client("ec2").send_diagnostic_interrupt(InstanceId=instance_id)
    assert machine.nmi_count == 0


def test_the_latest_console_is_the_serial_log_cut_at_64_kb(account: LabAccount) -> None:
    machine = ScriptedMachine()
    instance_id = account.add_instance(machine)
    machine.say("x" * 70_000 + "THE END")
    answer = account.client("ec2").get_console_output(InstanceId=instance_id, Latest=True)
    output = answer["Output"]
    assert output.endswith("THE END\n")
    assert len(output) == 65_536
    assert base64.b64encode(output.encode())  # botocore decodes it: it was base64 on the wire


def test_without_latest_the_console_is_that_of_the_last_power_event(account: LabAccount) -> None:
    machine = ScriptedMachine()
    instance_id = account.add_instance(machine)
    assert eventually(lambda: _status(account, instance_id)["InstanceStatus"]["Status"] == "ok")
    machine.say("only just now")
    ec2 = account.client("ec2")
    assert "only just now" not in ec2.get_console_output(InstanceId=instance_id)["Output"]
    assert "only just now" in ec2.get_console_output(InstanceId=instance_id, Latest=True)["Output"]


def test_the_screen_of_a_running_machine_is_a_jpg(account: LabAccount) -> None:
    ec2, instance_id = account.client("ec2"), account.add_instance(ScriptedMachine())
    picture = base64.b64decode(ec2.get_console_screenshot(InstanceId=instance_id)["ImageData"])
    assert (picture[:3], picture[-2:]) == (b"\xff\xd8\xff", b"\xff\xd9")
    ec2.stop_instances(InstanceIds=[instance_id])
    with pytest.raises(ClientError, match="IncorrectInstanceState"):
        ec2.get_console_screenshot(InstanceId=instance_id)


def test_a_machine_that_does_not_answer_is_impaired_until_it_does(account: LabAccount, monkeypatch: Any) -> None:
    monkeypatch.setattr("lab.aws.status_checks.ANSWER_TIMEOUT_SECONDS", 0.1)
    machine = ScriptedMachine()
    instance_id = account.add_instance(machine)
    assert eventually(lambda: _status(account, instance_id)["InstanceStatus"]["Status"] == "ok")
    machine.hang()
    assert eventually(lambda: _status(account, instance_id)["InstanceStatus"]["Status"] == "impaired")
    found = _status(account, instance_id)
    assert found["SystemStatus"]["Status"] == found["AttachedEbsStatus"]["Status"] == "ok"
    assert found["InstanceStatus"]["Details"][0]["ImpairedSince"]
    machine.reboot()
    assert eventually(lambda: _status(account, instance_id)["InstanceStatus"]["Status"] == "ok")


def test_a_machine_whose_agent_is_dead_answers_arp_and_is_ok(account: LabAccount, monkeypatch: Any) -> None:
    monkeypatch.setattr("lab.aws.status_checks.ANSWER_TIMEOUT_SECONDS", 0.1)
    machine = ScriptedMachine()
    instance_id = account.add_instance(machine)
    machine.is_agent_dead = True
    account.check_status_now(instance_id)
    assert _status(account, instance_id)["InstanceStatus"]["Status"] == "ok"


def test_a_volume_that_stalls_fails_the_check_of_attached_volumes_until_it_goes_on(account: LabAccount) -> None:
    machine = ScriptedMachine()
    instance_id = account.add_instance(machine)
    machine.stalled.add("vol-1")
    account.check_status_now(instance_id)
    found = _status(account, instance_id)
    assert (found["AttachedEbsStatus"]["Status"], found["InstanceStatus"]["Status"]) == ("impaired", "ok")
    machine.stalled.clear()
    account.check_status_now(instance_id)
    assert _status(account, instance_id)["AttachedEbsStatus"]["Status"] == "ok"


def test_a_system_check_can_be_made_to_fail(account: LabAccount) -> None:
    instance_id = account.add_instance(ScriptedMachine())
    account.computer(instance_id).system_check = "impaired"
    assert _status(account, instance_id)["SystemStatus"]["Status"] == "impaired"


def test_power_calls_drive_the_machine(account: LabAccount) -> None:
    machine = ScriptedMachine()
    instance_id, ec2 = account.add_instance(machine), account.client("ec2")
    ec2.reboot_instances(InstanceIds=[instance_id])
    assert eventually(lambda: machine.reboot_count == 1)
    ec2.stop_instances(InstanceIds=[instance_id])
    assert eventually(lambda: not machine.is_on and _state(account, instance_id) == "stopped")
    assert _status(account, instance_id)["InstanceStatus"]["Status"] == "not-applicable"
    ec2.start_instances(InstanceIds=[instance_id])
    assert eventually(lambda: machine.is_on and _state(account, instance_id) == "running")
    ec2.terminate_instances(InstanceIds=[instance_id])
    assert eventually(lambda: not machine.is_on and _state(account, instance_id) == "terminated")


def test_a_machine_that_switches_itself_off_becomes_a_stopped_instance(account: LabAccount) -> None:
    machine = ScriptedMachine()
    instance_id = account.add_instance(machine)
    machine.is_on = False
    assert eventually(lambda: _state(account, instance_id) == "stopped")
    assert _reason(account, instance_id) == "Client.InstanceInitiatedShutdown"
    account.client("ec2").start_instances(InstanceIds=[instance_id])
    assert eventually(lambda: _state(account, instance_id) == "running")
    assert _reason(account, instance_id) == ""


def test_a_machine_that_switches_itself_off_is_terminated_when_its_shutdown_behavior_says_so(
    account: LabAccount,
) -> None:
    machine = ScriptedMachine()
    instance_id = account.add_instance(machine)
    account.client("ec2").modify_instance_attribute(
        InstanceId=instance_id, Attribute="instanceInitiatedShutdownBehavior", Value="terminate"
    )
    machine.is_on = False
    assert eventually(lambda: _state(account, instance_id) == "terminated")
    with pytest.raises(ClientError, match="IncorrectInstanceState"):
        account.client("ec2").start_instances(InstanceIds=[instance_id])


def test_a_users_stop_is_told_from_a_machines_own(account: LabAccount) -> None:
    instance_id = account.add_instance(ScriptedMachine())
    account.client("ec2").stop_instances(InstanceIds=[instance_id])
    assert eventually(lambda: _state(account, instance_id) == "stopped")
    assert _reason(account, instance_id) == "Client.UserInitiatedShutdown"


def test_starting_an_instance_that_runs_changes_nothing(account: LabAccount) -> None:
    machine = ScriptedMachine()
    instance_id = account.add_instance(machine)
    account.client("ec2").start_instances(InstanceIds=[instance_id])
    assert _state(account, instance_id) == "running"
    assert machine.start_count == 0
