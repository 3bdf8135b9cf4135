"""Alarms: from a hung machine to the function that is their action."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.aws.account import LabAccount
from lab.machines.scripted_machine import ScriptedMachine
from tests.lab.aws.assembly import function, template, write_assembly
from tests.lab.aws.waiting import eventually

# Writes the event it gets to its log.
HANDLER = "import json\ndef handler(event, context):\n    print(json.dumps(event))\n"
ALARMS = {"Action": "lambda:InvokeFunction", "Principal": "lambda.alarms.cloudwatch.amazonaws.com"}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabAccount]:
    with LabAccount(time_scale=0.01, settle_seconds=0.15) as started:
        permission = {
            **ALARMS,
            "FunctionName": {"Ref": "Permitted"},
            "SourceAccount": {"Ref": "AWS::AccountId"},
            "SourceArn": {"Fn::Sub": "arn:aws:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:hangdump-*"},
        }
        resources = {
            "Permitted": function("told.handler", FunctionName="Permitted"),
            "Forbidden": function("told.handler", FunctionName="Forbidden"),
            "Permission": {"Type": "AWS::Lambda::Permission", "Properties": permission},
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "Topic"}},
            "Deployed": {"Type": "AWS::CloudWatch::Alarm", "Properties": {**_alarm("hangdump-deployed", "i-0", "x")}},
        }
        assembly = write_assembly(tmp_path_factory.mktemp("assembly"), {"told.py": HANDLER})
        started.deploy(template(**resources), assembly)
        yield started


def _alarm(name: str, instance_id: str, action: str) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "Namespace": "AWS/EC2",
        "MetricName": "StatusCheckFailed_Instance",
        "Dimensions": [{"Name": "InstanceId", "Value": instance_id}],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 2,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
        "AlarmActions": [action],
    }


def _arn(account: LabAccount, name: str) -> str:
    return f"arn:aws:lambda:{account.region}:{account.account_id}:function:{name}"


def _state(account: LabAccount, name: str) -> str:
    value: str = account.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]
    return value


def _told(account: LabAccount, function_name: str, alarm: str) -> list[dict[str, Any]]:
    lines = [line for line in account.logs.get(function_name, []) if line.startswith("{")]
    return [event for event in map(json.loads, lines) if event["alarmData"]["alarmName"] == alarm]


def test_a_hung_machine_raises_the_alarm_and_invokes_the_function(account: LabAccount, monkeypatch: Any) -> None:
    monkeypatch.setattr("lab.aws.status_checks.ANSWER_TIMEOUT_SECONDS", 0.1)
    machine = ScriptedMachine()
    instance_id = account.add_instance(machine)
    name = f"hangdump-{instance_id}"
    account.client("cloudwatch").put_metric_alarm(**_alarm(name, instance_id, _arn(account, "Permitted")))
    assert eventually(lambda: _state(account, name) == "OK")
    machine.hang()
    assert eventually(lambda: bool(_told(account, "Permitted", name)))
    (event,) = _told(account, "Permitted", name)
    assert (event["source"], event["region"], event["accountId"]) == (
        "aws.cloudwatch",
        account.region,
        account.account_id,
    )
    assert event["alarmArn"].endswith(f":alarm:{name}")
    data = event["alarmData"]
    assert (data["state"]["value"], data["previousState"]["value"]) == ("ALARM", "OK")
    metric = data["configuration"]["metrics"][0]["metricStat"]
    assert metric["metric"]["dimensions"] == {"InstanceId": instance_id}
    assert (metric["period"], metric["stat"]) == (60, "Maximum")


@pytest.mark.slow
def test_an_alarm_of_a_hung_machine_does_not_flap_while_checks_take_long(account: LabAccount, monkeypatch: Any) -> None:
    # Several periods of 0.6 s.
    monkeypatch.setattr("lab.aws.status_checks.ANSWER_TIMEOUT_SECONDS", 3.0)
    machine = ScriptedMachine()
    instance_id = account.add_instance(machine)
    name = f"hangdump-{instance_id}"
    account.client("cloudwatch").put_metric_alarm(**_alarm(name, instance_id, _arn(account, "Permitted")))
    assert eventually(lambda: _state(account, name) == "OK")
    machine.hang()
    assert eventually(lambda: _state(account, name) == "ALARM", timeout_seconds=20)
    time.sleep(5.0)  # long enough for a second slow check to end
    assert [e.text for e in account.events.matching("cloudwatch", name)][-1] == "alarm OK -> ALARM"


def test_a_new_alarm_has_insufficient_data(account: LabAccount) -> None:
    account.client("cloudwatch").put_metric_alarm(**_alarm("hangdump-new", "i-nothing", "x"))
    assert _state(account, "hangdump-new") == "INSUFFICIENT_DATA"


def test_putting_an_alarm_again_keeps_its_state(account: LabAccount) -> None:
    cloudwatch = account.client("cloudwatch")
    alarm = {**_alarm("hangdump-kept", "i-nothing", _arn(account, "Permitted")), "TreatMissingData": "ignore"}
    cloudwatch.put_metric_alarm(**alarm)
    cloudwatch.set_alarm_state(AlarmName="hangdump-kept", StateValue="ALARM", StateReason="test")
    cloudwatch.put_metric_alarm(**alarm)
    assert _state(account, "hangdump-kept") == "ALARM"


def test_setting_the_state_runs_the_actions_once_for_each_change(account: LabAccount) -> None:
    cloudwatch = account.client("cloudwatch")
    alarm = {**_alarm("hangdump-set", "i-nothing", _arn(account, "Permitted")), "TreatMissingData": "ignore"}
    cloudwatch.put_metric_alarm(**alarm)
    for value in ("ALARM", "ALARM", "OK", "ALARM"):
        cloudwatch.set_alarm_state(AlarmName="hangdump-set", StateValue=value, StateReason="test")
    assert eventually(lambda: len(_told(account, "Permitted", "hangdump-set")) == 2)


@pytest.mark.parametrize(
    ("alarm", "function_name"), [("other-alarm", "Permitted"), ("hangdump-x", "Forbidden")], ids=["alarm", "function"]
)
def test_a_function_whose_policy_does_not_permit_the_alarm_is_not_invoked(
    account: LabAccount, alarm: str, function_name: str
) -> None:
    cloudwatch = account.client("cloudwatch")
    cloudwatch.put_metric_alarm(**_alarm(alarm, "i-nothing", _arn(account, function_name)))
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="test")
    account.events.wait_for("lambda", f"{function_name} not invoked", timeout_seconds=5)
    assert _told(account, function_name, alarm) == []


def test_a_topic_as_action_is_told(account: LabAccount) -> None:
    cloudwatch = account.client("cloudwatch")
    topic = f"arn:aws:sns:{account.region}:{account.account_id}:Topic"
    cloudwatch.put_metric_alarm(**_alarm("hangdump-topic", "i-nothing", topic))
    cloudwatch.set_alarm_state(AlarmName="hangdump-topic", StateValue="ALARM", StateReason="test")
    assert eventually(lambda: any("hangdump-topic" in n.subject for n in account.notifications))


def _policy(principal: str, action: str) -> str:
    allowed = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})


@pytest.mark.parametrize(
    ("topic_lets_in", "key_lets_in", "denied"),
    [
        ("cloudwatch.amazonaws.com", "cloudwatch.amazonaws.com", ""),
        ("events.amazonaws.com", "cloudwatch.amazonaws.com", "sns:Publish"),
        ("cloudwatch.amazonaws.com", "events.amazonaws.com", "kms:GenerateDataKey"),
    ],
    ids=["both let it in", "not the topic's policy", "not the key's policy"],
)
def test_an_alarm_publishes_only_where_the_policies_of_topic_and_key_let_it_in(
    account: LabAccount, topic_lets_in: str, key_lets_in: str, denied: str
) -> None:
    alarm = f"hangdump-encrypted-{denied or 'allowed'}".replace(":", "-")
    key = account.client("kms").create_key(Policy=_policy(key_lets_in, "kms:*"))["KeyMetadata"]["Arn"]
    attributes = {"KmsMasterKeyId": key, "Policy": _policy(topic_lets_in, "sns:Publish")}
    topic = account.client("sns").create_topic(Name=alarm, Attributes=attributes)["TopicArn"]
    account.client("cloudwatch").put_metric_alarm(**_alarm(alarm, "i-nothing", topic))
    account.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="test")
    if denied:
        account.events.wait_for("iam", f"denied: {denied}", timeout_seconds=5)
        assert not any(alarm in n.subject for n in account.notifications)
    else:
        assert eventually(lambda: any(alarm in n.subject for n in account.notifications))


def test_an_alarm_on_a_metric_of_ones_own_is_evaluated(account: LabAccount) -> None:
    cloudwatch = account.client("cloudwatch")
    alarm = {
        **_alarm("hangdump-own", "i-own", _arn(account, "Permitted")),
        "Namespace": "Mine",
        "MetricName": "Heartbeat",
        "EvaluationPeriods": 1,
    }
    cloudwatch.put_metric_alarm(**alarm)
    cloudwatch.put_metric_data(
        Namespace="Mine", MetricData=[{"MetricName": "Heartbeat", "Value": 1, "Dimensions": alarm["Dimensions"]}]
    )
    assert eventually(lambda: bool(_told(account, "Permitted", "hangdump-own")))


def test_a_deleted_alarm_is_gone(account: LabAccount) -> None:
    cloudwatch = account.client("cloudwatch")
    cloudwatch.put_metric_alarm(**_alarm("hangdump-gone", "i-nothing", "x"))
    cloudwatch.delete_alarms(AlarmNames=["hangdump-gone"])
    assert cloudwatch.describe_alarms(AlarmNames=["hangdump-gone"])["MetricAlarms"] == []


def test_an_alarm_of_the_template_is_there(account: LabAccount) -> None:
    found = account.client("cloudwatch").describe_alarms(AlarmNames=["hangdump-deployed"])["MetricAlarms"][0]
    assert (found["EvaluationPeriods"], found["Threshold"], found["AlarmActions"]) == (2, 1.0, ["x"])


def test_metric_data_are_those_of_one_instance_in_periods(account: LabAccount) -> None:
    cloudwatch = account.client("cloudwatch")
    for instance_id, value in (("i-1", 1.0), ("i-1", 3.0), ("i-2", 9.0)):
        dimensions = [{"Name": "InstanceId", "Value": instance_id}]
        datum = {"MetricName": "m", "Value": value, "Dimensions": dimensions, "Timestamp": datetime.now(UTC)}
        cloudwatch.put_metric_data(Namespace="Lab", MetricData=[datum])
    metric = {"Namespace": "Lab", "MetricName": "m", "Dimensions": [{"Name": "InstanceId", "Value": "i-1"}]}
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=[{"Id": "q", "MetricStat": {"Metric": metric, "Period": 86400, "Stat": "Maximum"}}],
        StartTime=datetime.now(UTC) - timedelta(hours=3),
        EndTime=datetime.now(UTC) + timedelta(seconds=60),
    )
    (result,) = answer["MetricDataResults"]
    # Two, should midnight have passed in between.
    assert max(result["Values"]) == 3.0
