"""State Manager: whom an association reaches, and what it tells of its runs."""

from collections.abc import Iterator
from typing import Any

import pytest

from lab.aws.account import LabAccount
from lab.machines.scripted_machine import ScriptedMachine
from tests.lab.aws.assembly import document, template
from tests.lab.aws.waiting import eventually

ENROLLED = {"enrolled": "true"}
FAILS = {"type": "String", "default": "true", "allowedPattern": "^(true|false)$", "interpolationType": "ENV_VAR"}


@pytest.fixture
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabAccount]:
    with LabAccount(time_scale=0.01, settle_seconds=0.1) as started:
        association = {
            "Name": {"Ref": "Check"},
            "Targets": [{"Key": "tag:enrolled", "Values": ["true"]}],
            "Parameters": {"succeeds": ["false"]},
            "ScheduleExpression": "rate(6 hours)",
        }
        resources = {
            "Check": document("Check", ["#!/bin/bash", '"$SSM_succeeds"'], parameters={"succeeds": FAILS}),
            "Fleet": {"Type": "AWS::SSM::Association", "Properties": association},
        }
        outputs = {"Id": {"Value": {"Fn::GetAtt": ["Fleet", "AssociationId"]}}}
        started.deploy({**template(**resources), "Outputs": outputs}, tmp_path_factory.mktemp("assembly"))
        yield started


def runs_on(account: LabAccount, instance_id: str) -> list[dict[str, Any]]:
    ssm = account.client("ssm")
    found: list[dict[str, Any]] = ssm.describe_instance_associations_status(InstanceId=instance_id)[
        "InstanceAssociationStatusInfos"
    ]
    return found


def failed(account: LabAccount) -> list[str]:
    filters = [{"Key": "AssociationStatus", "Values": ["Failed"]}]
    found = account.client("ssm").describe_instance_information(Filters=filters)["InstanceInformationList"]
    return [each["InstanceId"] for each in found]


def test_runs_with_its_parameters_on_every_instance_with_the_tag_and_tells_how_it_ended(account: LabAccount) -> None:
    tagged = account.add_instance(ScriptedMachine(runs_scripts=True), tags=ENROLLED)
    other = account.add_instance(ScriptedMachine(runs_scripts=True), tags={"enrolled": "no"})
    assert eventually(
        lambda: len(account.client("ssm").describe_instance_information()["InstanceInformationList"]) == 2
    )
    assert (runs_on(account, tagged), failed(account)) == ([], [])

    account.apply_associations()

    assert eventually(lambda: failed(account) == [tagged])
    (run,) = runs_on(account, tagged)
    assert (run["Status"], run["Name"]) == ("Failed", "Check")
    assert run["ExecutionDate"]
    assert runs_on(account, other) == []
