"""Run Command: refusals of the API, execution as the agent does it, and what the agents report."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lab.aws.account import LabAccount
from lab.machines.machine import CannotExecute, Completed
from lab.machines.scripted_machine import ScriptedMachine
from tests.lab.aws.assembly import document, template
from tests.lab.aws.waiting import eventually

FINAL = ("Success", "Failed", "TimedOut", "Cancelled")
WORD = {"type": "String", "default": "calm", "allowedPattern": "^[a-z]+$", "interpolationType": "ENV_VAR"}
PARAMETERS = {"word": WORD}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabAccount]:
    with LabAccount(time_scale=0.01, settle_seconds=0.15) as started:
        resources = {
            "Say": document("Say", ["#!/bin/bash", "set -o pipefail", 'echo "$SSM_word"'], parameters=PARAMETERS),
            "Fail": document("Fail", ["#!/bin/bash", "echo half", "echo why >&2", "exit 3"]),
            "Slow": document("Slow", ["#!/bin/bash", "sleep 9"], timeoutSeconds="1"),
            "Chatty": document("Chatty", ["#!/bin/bash", "printf 'a%.0s' {1..30000}", "printf 'b%.0s' {1..9000} >&2"]),
        }
        started.deploy(template(**resources), tmp_path_factory.mktemp("assembly"))
        yield started


def _run(account: LabAccount, instance_id: str, name: str, **request: Any) -> Any:
    """The invocation at its end."""
    ssm = account.client("ssm")
    command = ssm.send_command(DocumentName=name, InstanceIds=[instance_id], **request)["Command"]
    found: dict[str, Any] = {}

    def is_over() -> bool:
        try:
            found.update(ssm.get_command_invocation(CommandId=command["CommandId"], InstanceId=instance_id))
        except ssm.exceptions.InvocationDoesNotExist:
            return False
        return found["Status"] in FINAL

    assert eventually(is_over)
    return found


def test_a_document_runs_with_bash_and_its_parameter_in_the_environment(account: LabAccount) -> None:
    found = _run(
        account, account.add_instance(ScriptedMachine(runs_scripts=True)), "Say", Parameters={"word": ["loud"]}
    )
    assert (found["Status"], found["ResponseCode"], found["StandardOutputContent"]) == ("Success", 0, "loud\n")
    assert found["PluginName"] == "runScript"


def test_a_script_that_fails_keeps_both_outputs(account: LabAccount) -> None:
    found = _run(account, account.add_instance(ScriptedMachine(runs_scripts=True)), "Fail")
    assert (found["Status"], found["StatusDetails"], found["ResponseCode"]) == ("Failed", "Failed", 3)
    assert found["StandardOutputContent"] == "half\n"
    assert found["StandardErrorContent"].startswith("why\n")


def test_a_new_version_of_a_document_is_not_its_default_version(account: LabAccount) -> None:
    machine = ScriptedMachine(runs_scripts=True)
    instance_id, content = account.add_instance(machine), document("Say", ["#!/bin/bash", "echo new"])
    account.client("ssm").update_document(
        Name="Say", Content=json.dumps(content["Properties"]["Content"]), DocumentVersion="$LATEST"
    )
    assert _run(account, instance_id, "Say")["StandardOutputContent"] == "calm\n"
    assert _run(account, instance_id, "Say", DocumentVersion="$LATEST")["StandardOutputContent"] == "new\n"
    assert _run(account, instance_id, "Say", DocumentVersion="1")["StandardOutputContent"] == "calm\n"


def test_outputs_are_cut_at_24000_and_8000_characters(account: LabAccount) -> None:
    found = _run(account, account.add_instance(ScriptedMachine(runs_scripts=True)), "Chatty")
    assert len(found["StandardOutputContent"]) == 24_000
    assert len(found["StandardErrorContent"]) == 8_000


def test_a_script_that_runs_too_long_times_out(account: LabAccount) -> None:
    found = _run(account, account.add_instance(ScriptedMachine(runs_scripts=True)), "Slow")
    assert (found["Status"], found["StatusDetails"]) == ("TimedOut", "ExecutionTimedOut")


def test_exit_194_reboots_and_runs_the_script_again(account: LabAccount) -> None:
    machine = ScriptedMachine(runs_scripts=True)
    machine.answers_with.append(lambda *_: Completed(194 if machine.reboot_count == 0 else 0, "done", ""))
    found = _run(account, account.add_instance(machine), "Say")
    assert (found["Status"], found["StandardOutputContent"]) == ("Success", "done")
    assert (machine.reboot_count, len(machine.scripts_run)) == (1, 2)


def test_a_command_to_a_hung_machine_waits_and_runs_after_its_reboot(account: LabAccount) -> None:
    machine = ScriptedMachine(runs_scripts=True, hung=True)
    instance_id, ssm = account.add_instance(machine), account.client("ssm")
    command_id = ssm.send_command(DocumentName="Say", InstanceIds=[instance_id])["Command"]["CommandId"]
    listed = ssm.list_command_invocations(CommandId=command_id)["CommandInvocations"]
    assert [(i["InstanceId"], i["Status"]) for i in listed] == [(instance_id, "Pending")]
    machine.reboot()

    def status() -> str:
        invocations = ssm.list_command_invocations(CommandId=command_id)["CommandInvocations"]
        return str(invocations[0]["Status"])

    assert eventually(lambda: status() == "Success")


@pytest.mark.parametrize(
    ("last_ping_seconds", "status", "details"),
    [(0, "TimedOut", "DeliveryTimedOut"), (999, "Failed", "Undeliverable")],
    ids=["pinged just now", "connection lost"],
)
def test_what_is_never_delivered_is_not_run(
    account: LabAccount, monkeypatch: Any, last_ping_seconds: int, status: str, details: str
) -> None:
    monkeypatch.setattr("lab.aws.ssm.MINIMUM_DELIVERY_SECONDS", 0)
    monkeypatch.setattr(
        "lab.aws.run_command.ping_status", lambda *_: "ConnectionLost" if last_ping_seconds else "Online"
    )
    machine = ScriptedMachine(runs_scripts=True, hung=True)
    instance_id = account.add_instance(machine)
    # The client would refuse fewer than 30 seconds by itself.
    ssm = account.client("ssm", Config(parameter_validation=False))
    sent = ssm.send_command(DocumentName="Say", InstanceIds=[instance_id], TimeoutSeconds=1)
    command_id = sent["Command"]["CommandId"]

    def found() -> Any:
        return ssm.list_command_invocations(CommandId=command_id)["CommandInvocations"][0]

    assert eventually(lambda: found()["Status"] == status)
    assert found()["StatusDetails"] == details
    assert machine.scripts_run == []


def test_a_cancelled_command_is_not_run(account: LabAccount) -> None:
    machine = ScriptedMachine(runs_scripts=True, hung=True)
    instance_id, ssm = account.add_instance(machine), account.client("ssm")
    command_id = ssm.send_command(DocumentName="Say", InstanceIds=[instance_id])["Command"]["CommandId"]
    ssm.cancel_command(CommandId=command_id)
    assert eventually(
        lambda: ssm.list_command_invocations(CommandId=command_id)["CommandInvocations"][0]["Status"] == "Cancelled"
    )
    assert machine.scripts_run == []


def test_an_invocation_is_unknown_for_a_moment(account: LabAccount, unhurried: None) -> None:
    instance_id, ssm = account.add_instance(ScriptedMachine(runs_scripts=True)), account.client("ssm")
    command_id = ssm.send_command(DocumentName="Say", InstanceIds=[instance_id])["Command"]["CommandId"]
    with pytest.raises(ssm.exceptions.InvocationDoesNotExist):
        ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"DocumentName": "Nowhere"}, "InvalidDocument"),
        ({"DocumentName": "Say", "Parameters": {"word": ["LOUD"]}}, "InvalidParameters"),
        ({"DocumentName": "Say", "Parameters": {"wrod": ["loud"]}}, "InvalidParameters"),
    ],
)
def test_the_api_refuses_bad_requests(account: LabAccount, request_: Any, code: str) -> None:
    instance_id = account.add_instance(ScriptedMachine(runs_scripts=True))
    with pytest.raises(ClientError, match=code):
        account.client("ssm").send_command(InstanceIds=[instance_id], **request_)


def test_an_instance_that_is_unknown_to_ssm_or_stopped_is_refused(account: LabAccount) -> None:
    unmanaged = account.add_instance(ScriptedMachine(runs_scripts=True), in_ssm=False)
    stopped = account.add_instance(ScriptedMachine(runs_scripts=True))
    account.client("ec2").stop_instances(InstanceIds=[stopped])
    for instance_id in (unmanaged, stopped, "i-00000000000000000"):
        with pytest.raises(ClientError, match="InvalidInstanceId"):
            account.client("ssm").send_command(DocumentName="Say", InstanceIds=[instance_id])


def _information(account: LabAccount, instance_id: str) -> Any:
    filters = [{"Key": "InstanceIds", "Values": [instance_id]}]
    found = account.client("ssm").describe_instance_information(Filters=filters)["InstanceInformationList"]
    return found[0] if found else None


def test_an_agent_reports_itself_and_its_platform(account: LabAccount) -> None:
    instance_id = account.add_instance(
        ScriptedMachine(runs_scripts=True), platform_name="Ubuntu", platform_version="24.04"
    )
    assert eventually(lambda: _information(account, instance_id) is not None)
    found = _information(account, instance_id)
    assert (found["PingStatus"], found["PlatformType"], found["PlatformName"]) == ("Online", "Linux", "Ubuntu")


def test_an_instance_outside_ssm_is_not_listed(account: LabAccount) -> None:
    instance_id = account.add_instance(ScriptedMachine(runs_scripts=True), in_ssm=False)
    account.check_status_now(instance_id)
    assert _information(account, instance_id) is None


def test_a_hung_machine_is_online_at_first_and_lost_later(account: LabAccount, monkeypatch: Any) -> None:
    monkeypatch.setattr("lab.aws.status_checks.ANSWER_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr("lab.aws.status_checks.PING_PERIOD_SECONDS", 30)
    machine = ScriptedMachine(runs_scripts=True)
    instance_id = account.add_instance(machine)
    assert eventually(lambda: _information(account, instance_id) is not None)
    machine.hang()
    assert _information(account, instance_id)["PingStatus"] == "Online"
    assert eventually(lambda: _information(account, instance_id)["PingStatus"] == "ConnectionLost")
    before = _information(account, instance_id)["LastPingDateTime"]
    machine.reboot()
    assert eventually(lambda: _information(account, instance_id)["PingStatus"] == "Online")
    assert _information(account, instance_id)["LastPingDateTime"] > before


def test_an_agent_that_died_is_as_old_as_its_last_answer_and_is_back_at_its_first(
    account: LabAccount, monkeypatch: Any
) -> None:
    monkeypatch.setattr("lab.aws.status_checks.ANSWER_TIMEOUT_SECONDS", 0.1)
    machine = ScriptedMachine(runs_scripts=True)
    instance_id = account.add_instance(machine)
    assert eventually(lambda: _information(account, instance_id) is not None)
    machine.is_agent_dead = True
    account.check_status_now(instance_id)
    last = _information(account, instance_id)["LastPingDateTime"]
    account.check_status_now(instance_id)
    assert _information(account, instance_id)["LastPingDateTime"] == last
    machine.is_agent_dead = False
    account.check_status_now(instance_id)
    assert _information(account, instance_id)["LastPingDateTime"] > last


def test_a_command_that_the_agent_cannot_start_has_failed(account: LabAccount) -> None:
    def refuse(*_: Any) -> None:
        raise CannotExecute("fork: Resource temporarily unavailable")

    instance_id = account.add_instance(ScriptedMachine(answers_with=[refuse]))
    found = _run(account, instance_id, "Say")
    assert found["Status"] == "Failed"
    assert "fork: Resource temporarily unavailable" in found["StandardErrorContent"]


def test_get_document_gives_the_content_as_json(account: LabAccount) -> None:
    content = account.client("ssm").get_document(Name="Say")["Content"]
    assert '"schemaVersion": "2.2"' in content
