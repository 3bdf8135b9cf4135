"""EventBridge: from what EC2 and CloudWatch say by themselves to a function."""

import json
from collections.abc import Iterator

import pytest

from lab.aws.account import LabAccount
from lab.machines.scripted_machine import ScriptedMachine
from tests.lab.aws.assembly import function, template, write_assembly
from tests.lab.aws.waiting import eventually

HANDLER = "import json\ndef handler(event, context):\n    print(json.dumps(event))\n"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabAccount]:
    with LabAccount(time_scale=0.01, settle_seconds=0.1) as started:
        pattern = {
            "source": ["aws.ec2"],
            "detail-type": ["EC2 Instance State-change Notification"],
            "detail": {"state": ["terminated"]},
        }
        targets = [{"Id": name, "Arn": {"Fn::GetAtt": [name, "Arn"]}} for name in ("Permitted", "Forbidden")]
        permission = {
            "Action": "lambda:InvokeFunction",
            "Principal": "events.amazonaws.com",
            "FunctionName": {"Fn::GetAtt": ["Permitted", "Arn"]},
            "SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]},
        }
        rule = {"EventPattern": pattern, "State": "ENABLED", "Targets": targets}
        resources = {
            "Permitted": function("told.handler", FunctionName="Permitted"),
            "Forbidden": function("told.handler", FunctionName="Forbidden"),
            "Rule": {"Type": "AWS::Events::Rule", "Properties": rule},
            "Permission": {"Type": "AWS::Lambda::Permission", "Properties": permission},
        }
        started.deploy(template(**resources), write_assembly(tmp_path_factory.mktemp("assembly"), {"told.py": HANDLER}))
        yield started


def test_a_terminated_instance_reaches_the_function_that_the_rule_names(account: LabAccount) -> None:
    instance_id = account.add_instance(ScriptedMachine())
    ec2 = account.client("ec2")
    ec2.stop_instances(InstanceIds=[instance_id])
    ec2.terminate_instances(InstanceIds=[instance_id])

    def told() -> list[dict[str, object]]:
        lines = [line for line in account.logs.get("Permitted", []) if line.startswith("{")]
        return [event for event in map(json.loads, lines) if event["detail"]["instance-id"] == instance_id]

    assert eventually(lambda: bool(told()))
    (event,) = told()
    assert event["detail"] == {"instance-id": instance_id, "state": "terminated"}
    assert (event["source"], event["account"], event["region"]) == ("aws.ec2", account.account_id, account.region)
    assert str(event["time"]).endswith("Z")


def test_a_function_that_does_not_permit_the_rule_is_not_invoked(account: LabAccount) -> None:
    account.client("ec2").terminate_instances(InstanceIds=[account.add_instance(ScriptedMachine())])
    account.events.wait_for("lambda", "Forbidden not invoked", timeout_seconds=5)
    assert "Forbidden" not in account.logs


def test_events_of_ones_own_reach_it_too(account: LabAccount) -> None:
    detail = json.dumps({"instance-id": "i-own", "state": "terminated"})
    entry = {"Source": "aws.ec2", "DetailType": "EC2 Instance State-change Notification", "Detail": detail}
    account.client("events").put_events(Entries=[entry])
    assert eventually(lambda: any("i-own" in line for line in account.logs.get("Permitted", [])))
