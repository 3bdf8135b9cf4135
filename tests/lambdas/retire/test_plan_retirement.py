"""What is refused before an instance is retired, which volume is detached, and why each other one is kept."""

import json
from typing import Any

import pytest

from lambdas.handlers import plan_retirement
from lambdas.incident.record import Incident, State, Verdict
from lambdas.incident.table import create_incident
from lambdas.runtime import clients
from lambdas.runtime.errors import (
    IncidentUnfinished,
    InstanceNotEnrolled,
    InstanceNotManaged,
    InstanceNotRunning,
    InvalidInput,
)
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.conftest import Launch
from tests.lambdas.provision.test_plan_dump_volume import create_volume

OTHER = "i-0fedcba9876543210"


def _plan(context: Any, instance_id: str) -> dict[str, Any]:
    return plan_retirement.handler({"input": {"instanceId": instance_id}}, context)


def _incident(instance_id: str, state: State, verdict: Verdict | None = None) -> str:
    incident = Incident(
        incident_id=f"20261123T040000Z-{instance_id}", instance_id=instance_id, state=state, verdict=verdict
    )
    create_incident(aws.TABLE, incident)
    return incident.incident_id


def test_detaches_its_own_volume_and_asks_the_host_about_it(launch: Launch, context: Any) -> None:
    instance_id = launch()
    volume_id = create_volume(instance_id)
    clients.ec2().attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdk")
    assert _plan(context, instance_id) == {
        "isGone": False,
        "parameters": {"mountPoint": ["/var/crash"], "volumeId": [volume_id]},
        "volume": {"volumeId": volume_id},
        "kept": [],
    }


def test_an_instance_without_a_volume_has_none_to_detach(launch: Launch, context: Any) -> None:
    planned = _plan(context, launch())
    assert (planned["volume"], planned["parameters"]["volumeId"]) == ({"volumeId": ""}, ["none"])


def test_a_volume_that_is_not_proven_ours_or_not_attached_is_kept_with_the_reason(launch: Launch, context: Any) -> None:
    instance_id = launch()
    loose = create_volume(instance_id)
    forged = create_volume(instance_id, recorded_for=OTHER)
    clients.ec2().attach_volume(VolumeId=forged, InstanceId=instance_id, Device="/dev/sdk")
    planned = _plan(context, instance_id)
    assert planned["volume"] == {"volumeId": ""}
    assert {each["volumeId"]: each["reason"] for each in planned["kept"]} == {
        loose: "it is not attached, so nobody can say that it is empty",
        forged: "ProvisionDumpVolume did not create it for this instance",
    }


def test_of_an_instance_that_is_gone_every_volume_is_kept(launch: Launch, context: Any) -> None:
    instance_id = launch()
    volume_id = create_volume(instance_id)
    clients.ec2().terminate_instances(InstanceIds=[instance_id])
    planned = _plan(context, instance_id)
    assert (planned["isGone"], planned["volume"]) == (True, {"volumeId": ""})
    assert [each["volumeId"] for each in planned["kept"]] == [volume_id]


def test_an_instance_that_ec2_has_forgotten_is_gone(account: Account, context: Any) -> None:
    assert _plan(context, OTHER) == {
        "isGone": True,
        "parameters": {"mountPoint": ["/var/crash"], "volumeId": ["none"]},
        "volume": {"volumeId": ""},
        "kept": [],
    }


@pytest.mark.parametrize("state", [State.OPENED, State.INTERRUPTED, State.INTERRUPT_UNCERTAIN, State.PANICKED])
def test_an_incident_without_a_verdict_refuses(launch: Launch, context: Any, state: State) -> None:
    instance_id = launch()
    incident_id = _incident(instance_id, state)
    with pytest.raises(IncidentUnfinished, match=incident_id):
        _plan(context, instance_id)


def test_an_incident_that_ended_and_one_of_another_instance_do_not_refuse(launch: Launch, context: Any) -> None:
    instance_id = launch()
    _incident(instance_id, State.CONCLUDED, Verdict.CAPTURED)
    _incident(OTHER, State.INTERRUPTED)
    assert not _plan(context, instance_id)["isGone"]


@pytest.mark.parametrize(
    ("machine", "given"),
    [
        ("CollectVmcore", {"instanceId": "ID"}),
        ("RescueVmcore", {"incidentId": "20261123T040000Z-ID", "reason": "it is off"}),
    ],
)
def test_a_running_collection_or_rescue_refuses(
    launch: Launch, context: Any, monkeypatch: pytest.MonkeyPatch, machine: str, given: dict[str, str]
) -> None:
    """moto ends an execution when it begins: here it shows one that runs."""
    instance_id = launch()
    text = json.dumps(given).replace("ID", instance_id)
    started = clients.stepfunctions().start_execution(
        stateMachineArn=aws.COLLECT_ARN.replace("CollectVmcore", machine), name="rescue-1", input=text
    )
    listed = clients.stepfunctions().get_paginator

    class Running:
        def paginate(self, **asked: Any) -> Any:
            is_of_it = asked["stateMachineArn"].endswith(machine)
            return [{"executions": [{"name": "rescue-1", "executionArn": started["executionArn"]}] if is_of_it else []}]

    monkeypatch.setattr(
        clients.stepfunctions(), "get_paginator", lambda name: Running() if name == "list_executions" else listed(name)
    )
    with pytest.raises(IncidentUnfinished, match="rescue-1"):
        _plan(context, instance_id)
    assert not _plan(context, launch())["isGone"]


@pytest.mark.parametrize(
    ("tags", "state", "error"),
    [
        pytest.param(None, "stopped", InstanceNotRunning, id="stopped"),
        pytest.param({}, "running", InstanceNotEnrolled, id="not-enrolled"),
        pytest.param({"hangdump:enrolled": "yes"}, "running", InstanceNotEnrolled, id="another-value"),
    ],
)
def test_an_instance_that_no_document_can_run_on_is_named(
    launch: Launch, context: Any, tags: dict[str, str] | None, state: str, error: type[Exception]
) -> None:
    instance_id = launch(tags=tags)
    if state == "stopped":
        clients.ec2().stop_instances(InstanceIds=[instance_id])
    with pytest.raises(error, match="cannot be undone"):
        _plan(context, instance_id)


def test_an_agent_that_does_not_answer_is_named(launch: Launch, context: Any, account: Account) -> None:
    account.ping_status = "ConnectionLost"
    with pytest.raises(InstanceNotManaged, match="then retire it again"):
        _plan(context, launch())


def test_a_wrong_id_is_named(account: Account, context: Any) -> None:
    with pytest.raises(InvalidInput, match="instanceId"):
        _plan(context, "i-1")
