"""One document on many instances: what each answered, and what becomes of those that do not."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.runtime.errors import DocumentFailed, VmcoreNotFound
from lambdas.sweep import fleet_command
from lambdas.sweep.fleet_command import run_on_fleet
from lambdas.sweep.time_left import TimeLeft
from tests.lambdas.account import Account
from tests.lambdas.conftest import Clock

IDS = [f"i-0000000000000000{number}" for number in range(5)]


@pytest.fixture
def fleet(account: Account, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Status and output by instance; `hidden` are those whose invocation cannot be read yet, `gone` those refused."""
    state: dict[str, Any] = {"status": dict.fromkeys(IDS, "Success"), "stdout": dict.fromkeys(IDS, "{}")}
    state |= {"hidden": set(), "gone": set(), "sent": []}

    def send(parameters: dict[str, Any]) -> dict[str, Any]:
        if state["gone"] & set(parameters["InstanceIds"]):
            raise ClientError({"Error": {"Code": "InvalidInstanceId", "Message": ""}}, "SendCommand")
        state["sent"].append(parameters["InstanceIds"])
        return {"Command": {"CommandId": str(len(state["sent"]) - 1)}}

    def listed(parameters: dict[str, Any]) -> dict[str, Any]:
        sent = state["sent"][int(parameters["CommandId"])]
        return {"CommandInvocations": [{"InstanceId": each, "Status": state["status"][each]} for each in sent]}

    def read(parameters: dict[str, Any]) -> dict[str, Any]:
        instance_id = parameters["InstanceId"]
        if instance_id in state["hidden"]:
            state["hidden"].remove(instance_id)
            raise ClientError({"Error": {"Code": "InvocationDoesNotExist", "Message": ""}}, "GetCommandInvocation")
        output = state["stdout"][instance_id]
        return {"InstanceId": instance_id, "Status": state["status"][instance_id], "StandardOutputContent": output}

    answers = {"SendCommand": send, "ListCommandInvocations": listed, "GetCommandInvocation": read}
    for operation, answer in answers.items():
        monkeypatch.setattr(account, f"_{operation}", answer, raising=False)
    monkeypatch.setattr(fleet_command, "time", clock)
    return state


def run(instance_ids: list[str]) -> dict[str, Any]:
    return run_on_fleet("Hangdump-check_kdump", {"mountPoint": ["/x"]}, instance_ids, TimeLeft(lambda: 900_000))


def test_gives_what_each_instance_answered(fleet: dict[str, Any]) -> None:
    fleet["stdout"][IDS[0]] = '{"ready":true}'
    fleet["stdout"][IDS[1]] = '{"error":"VmcoreNotFound","message":"none"}'
    fleet["status"][IDS[1]] = fleet["status"][IDS[2]] = "Failed"

    answers = run(IDS[:3])

    assert answers[IDS[0]] == {"ready": True}
    assert isinstance(answers[IDS[1]], VmcoreNotFound)
    assert isinstance(answers[IDS[2]], DocumentFailed)


def test_waits_for_an_invocation_that_is_listed_before_it_can_be_read(fleet: dict[str, Any]) -> None:
    fleet["hidden"] = {IDS[0]}
    assert run(IDS[:1]) == {IDS[0]: {}}


def test_leaves_out_an_instance_that_does_not_answer_in_time(fleet: dict[str, Any], clock: Clock) -> None:
    fleet["status"][IDS[1]] = "InProgress"
    began = clock.at
    assert run(IDS[:2]) == {IDS[0]: {}}
    assert (clock.at - began).total_seconds() < 200


@pytest.mark.parametrize("gone", [IDS[0], IDS[2], IDS[4]])
def test_one_instance_that_has_gone_meanwhile_costs_only_itself(fleet: dict[str, Any], gone: str) -> None:
    fleet["gone"] = {gone}
    assert sorted(run(IDS)) == [each for each in IDS if each != gone]


def test_runs_on_some_instances_at_a_time_and_is_not_stopped_by_errors(fleet: dict[str, Any], account: Account) -> None:
    run(IDS)
    (sent,) = account.named("SendCommand")
    assert int(sent["MaxConcurrency"]) <= 10
    assert sent["MaxErrors"] == "100%"
