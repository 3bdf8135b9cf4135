"""EventBridge's schedules: fired in the account's time, and only to whom they belong."""

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from lab.aws.account import LabAccount
from lab.aws.schedules import period_seconds
from tests.lab.aws.assembly import function, template, write_assembly
from tests.lab.aws.waiting import eventually

HANDLER = "import json\ndef handler(event, context):\n    print(json.dumps(event))\n"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabAccount]:
    with LabAccount(time_scale=0.02) as started:
        resources: dict[str, object] = {}
        for name, rate in (("Each", "rate(1 minute)"), ("Seldom", "rate(24 hours)")):
            resources[name] = function("told.handler", FunctionName=name)
            targets = [{"Id": name, "Arn": {"Fn::GetAtt": [name, "Arn"]}}]
            rule = {"ScheduleExpression": rate, "State": "ENABLED", "Targets": targets}
            resources[f"Rule{name}"] = {"Type": "AWS::Events::Rule", "Properties": rule}
            permission = {
                "Action": "lambda:InvokeFunction",
                "Principal": "events.amazonaws.com",
                "FunctionName": {"Fn::GetAtt": [name, "Arn"]},
                "SourceArn": {"Fn::GetAtt": [f"Rule{name}", "Arn"]},
            }
            resources[f"Permission{name}"] = {"Type": "AWS::Lambda::Permission", "Properties": permission}
        assembly = write_assembly(tmp_path_factory.mktemp("assembly"), {"told.py": HANDLER})
        started.deploy(template(**resources), assembly)
        yield started


def test_a_schedule_fires_again_and_again(account: LabAccount) -> None:
    def told() -> list[dict[str, object]]:
        return [json.loads(line) for line in account.logs.get("Each", []) if line.startswith("{")]

    assert eventually(lambda: len(told()) >= 2)
    event = told()[0]
    assert (event["source"], event["detail-type"], event["detail"]) == ("aws.events", "Scheduled Event", {})


def test_a_schedule_gets_no_other_events(account: LabAccount) -> None:
    entry = {"Source": "aws.ec2", "DetailType": "EC2 Instance State-change Notification", "Detail": "{}"}
    account.client("events").put_events(Entries=[entry])
    assert eventually(lambda: len(account.logs.get("Each", [])) >= 3)
    assert "aws.ec2" not in "".join(account.logs["Each"])
    # Another rule's schedule is none of its own.
    assert "Seldom" not in account.logs


def test_a_schedule_that_the_lab_would_not_fire_is_refused(account: LabAccount) -> None:
    with pytest.raises(ClientError, match="not cron"):
        account.client("events").put_rule(Name="cron", ScheduleExpression="cron(0 4 * * ? *)")


@pytest.mark.parametrize(
    ("schedule", "seconds"), [("rate(1 minute)", 60), ("rate(24 hours)", 86400), ("rate(2 days)", 172800)]
)
def test_the_period_of_a_rate(schedule: str, seconds: int) -> None:
    assert period_seconds(schedule) == seconds
