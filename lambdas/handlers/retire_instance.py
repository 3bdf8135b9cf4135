"""Retires an instance: removes its hang alarm and its ready tag, and lists its dump volumes.

It deletes no volume: a dump volume can hold the only vmcore of a crash, so a person deletes it. The snapshot of a
parked one is empty: it goes with its instance, or when the host no longer waits for a volume made from it.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from lambdas.instance.facts import read_instance
from lambdas.provision.parked import forget_parked
from lambdas.runtime import clients
from lambdas.runtime.environment import RecordKeeping
from lambdas.runtime.errors import AwsUnavailable, InvalidInput
from lambdas.runtime.execution_input import ExecutionInput, read_input
from lambdas.runtime.observability import entry_point, logger
from lambdas.runtime.tags import OWNER_TAG, READY_TAGS, hang_alarm_name


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"instanceId","isUnconfigured"?}` or EC2's state-change event, gives `{"instanceId","alarmDeleted",…}`."""
    is_undone = event.pop("isUnconfigured", "detail" in event)
    instance_id = _instance_id(event)
    is_alarm_deleted = _delete_alarm(hang_alarm_name(instance_id))
    _remove_ready_tags(instance_id)
    snapshot = forget_parked(RecordKeeping.read().table_name, instance_id) if is_undone else ""
    volumes = _list_volumes(instance_id)
    logger.info(
        *("Retired %s; alarm deleted: %s; snapshot deleted: %s; volumes kept: %s", instance_id, is_alarm_deleted),
        *(snapshot, volumes),
    )
    return {
        "instanceId": instance_id,
        "alarmDeleted": is_alarm_deleted,
        "snapshotDeleted": snapshot,
        "volumes": volumes,
    }


def _instance_id(event: dict[str, Any]) -> str:
    if "detail" not in event:
        return read_input(ExecutionInput, event).instance_id
    detail = event["detail"]
    if detail.get("state") != "terminated":
        raise InvalidInput(
            f"{detail.get('instance-id')} is {detail.get('state')}, not terminated, so it is not retired.",
            'To retire an instance that still exists, give {"instanceId": "…"}.',
        )
    return read_input(ExecutionInput, {"instanceId": detail.get("instance-id")}).instance_id


def _delete_alarm(name: str) -> bool:
    if not clients.cloudwatch().describe_alarms(AlarmNames=[name])["MetricAlarms"]:
        return False
    clients.cloudwatch().delete_alarms(AlarmNames=[name])
    return True


def _remove_ready_tags(instance_id: str) -> None:
    try:
        clients.ec2().delete_tags(Resources=[instance_id], Tags=[{"Key": key} for key in READY_TAGS])
    except ClientError as error:
        # EC2 forgets a terminated instance and its tags within the hour.
        if error.response["Error"]["Code"] != "InvalidInstanceID.NotFound":
            raise
        if _exists(instance_id):
            # Whoever believed it would take the instance for ready as soon as its owner enrols it again.
            raise AwsUnavailable(f"EC2 does not know {instance_id} and lists it.", AwsUnavailable.next_step) from error


def _exists(instance_id: str) -> bool:
    instance = read_instance(instance_id)
    return instance is not None and instance.state != "terminated"


def _list_volumes(instance_id: str) -> list[str]:
    pages = (
        clients.ec2()
        .get_paginator("describe_volumes")
        .paginate(Filters=[{"Name": f"tag:{OWNER_TAG}", "Values": [instance_id]}])
    )
    return [volume["VolumeId"] for page in pages for volume in page["Volumes"]]
