"""The gate's competitor: the same checks, probe and claim, one call after another, with boto3 only.

A Lambda function of its own, as a good engineer writes it in a day: clients at import, no threads. `CHECKS` says how
many checks it makes: `all` that Hangdump makes; `few`, without ping, metrics and zone; `status`, opt-in and status
checks alone, without claim and switch. It keeps no record of why, stores no evidence, recovers from nothing.
"""

import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

ec2: Any = boto3.client("ec2")
cloudwatch: Any = boto3.client("cloudwatch")
dynamodb: Any = boto3.client("dynamodb")
ssm: Any = boto3.client("ssm")
METRICS = ("StatusCheckFailed", "StatusCheckFailed_Instance", "StatusCheckFailed_AttachedEBS")


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Handles the event of an alarm on one metric."""
    (metric,) = event["alarmData"]["configuration"]["metrics"]
    instance_id = metric["metricStat"]["metric"]["dimensions"]["InstanceId"]
    (instance,) = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    (status,) = ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
    checks = (status["SystemStatus"]["Status"], status["InstanceStatus"]["Status"])
    if tags.get("hangdump:enrolled") != "true" or checks != ("ok", "impaired"):
        return {"decision": "refuse"}
    is_whole = os.environ["CHECKS"] != "status"
    if os.environ["CHECKS"] == "all" and not _is_silent(instance):
        return {"decision": "refuse"}
    if is_whole and not _is_allowed(instance, event["alarmData"]["alarmName"]):
        return {"decision": "refuse"}
    if _answers(instance_id):
        return {"decision": "refuse"}
    if is_whole:
        _claim(instance_id, instance["Placement"]["AvailabilityZone"])
        switch = ssm.get_parameter(Name=os.environ["KILL_SWITCH_PARAMETER"])
        if switch["Parameter"]["Value"] != "on":
            return {"decision": "refuse"}
    ec2.send_diagnostic_interrupt(InstanceId=instance_id)
    return {"decision": "interrupt"}


def _is_allowed(instance: dict[str, Any], alarm: str) -> bool:
    (kind,) = ec2.describe_instance_types(InstanceTypes=[instance["InstanceType"]])["InstanceTypes"]
    console = ec2.get_console_output(InstanceId=instance["InstanceId"], Latest=True)["Output"]
    described = cloudwatch.describe_alarms(AlarmNames=[alarm, f"hangdump-{instance['InstanceId']}"])["MetricAlarms"]
    dimensions = [{"Name": "InstanceId", "Value": instance["InstanceId"]}]
    rivals = [
        action
        for name in METRICS
        for each in cloudwatch.describe_alarms_for_metric(Namespace="AWS/EC2", MetricName=name, Dimensions=dimensions)[
            "MetricAlarms"
        ]
        for action in each["AlarmActions"]
        if ":automate:" in action
    ]
    table = os.environ["TABLE_NAME"]
    keys = [{"pk": {"S": f"bare#{key}"}} for key in (instance["InstanceId"], "fleet", "zone")]
    dynamodb.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
    is_quiet = all(each["ActionsEnabled"] for each in described) and not rivals
    return kind["Hypervisor"] == "nitro" and "elfcorehdr" not in console and is_quiet


def _is_silent(instance: dict[str, Any]) -> bool:
    """Neither the agent nor the disk says that it works, and its zone is well."""
    now = datetime.now(UTC)
    pinged = ssm.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [instance["InstanceId"]]}])[
        "InstanceInformationList"
    ]
    metric = {
        "Namespace": "AWS/EC2",
        "MetricName": "EBSWriteOps",
        "Dimensions": [{"Name": "InstanceId", "Value": instance["InstanceId"]}],
    }
    query = {"Id": "m0", "MetricStat": {"Metric": metric, "Period": 300, "Stat": "Sum"}}
    cloudwatch.get_metric_data(MetricDataQueries=[query], StartTime=now - timedelta(hours=3), EndTime=now)
    zone = [
        {"Name": "availability-zone", "Values": [instance["Placement"]["AvailabilityZone"]]},
        {"Name": "instance-status.status", "Values": ["impaired"]},
    ]
    failing = ec2.describe_instance_status(Filters=zone)["InstanceStatuses"]
    return bool(pinged) and len(failing) < 100


def _answers(instance_id: str) -> bool:
    wait = int(os.environ["PROBE_TIMEOUT_SECONDS"])
    sent = ssm.send_command(DocumentName=os.environ["PROBE_DOCUMENT"], InstanceIds=[instance_id], TimeoutSeconds=30)
    time.sleep(wait)
    seen = ssm.get_command_invocation(CommandId=sent["Command"]["CommandId"], InstanceId=instance_id)
    return bool(seen["Status"] == "Success")


def _claim(instance_id: str, zone: str) -> None:
    counted = {"UpdateExpression": "ADD #count :one", "ExpressionAttributeNames": {"#count": "count"}}
    dynamodb.transact_write_items(
        TransactItems=[
            {
                "Update": {
                    "TableName": os.environ["TABLE_NAME"],
                    "Key": {"pk": {"S": f"bare#{key}"}},
                    "ExpressionAttributeValues": {":one": {"N": "1"}},
                    **counted,
                }
            }
            for key in (instance_id, "fleet", f"zone#{zone}")
        ]
    )
