"""Carries out a finding's action. An action that somebody already did counts as done."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.drill.proof import claim_drill
from lambdas.provision.parked import forget_parked
from lambdas.provision.volume_record import claim_attempt
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import Collection, Drills, RecordKeeping, Rescue, VmcoreBucketName
from lambdas.runtime.observability import logger
from lambdas.runtime.tags import READY_CONFIG_TAG, READY_KERNEL_TAG, READY_TAG, READY_TAGS
from lambdas.sweep.case import Action, Finding
from lambdas.sweep.found import Checked
from lambdas.sweep.time_left import TimeLeft

# Error codes that mean: the resource is already gone, or the execution already started.
_DONE_ALREADY = {
    *("InvalidInstanceID.NotFound", "InvalidSnapshot.NotFound", "InvalidVolume.NotFound", "NoSuchUpload"),
    *("ResourceNotFound", "ResourceNotFoundException", "ExecutionAlreadyExists"),
}


def act(finding: Finding, *, now: datetime) -> str:
    """Carries out the action; returns the error's message, or "" on success."""
    actions: dict[Action, Callable[[Finding, datetime], None]] = {
        Action.DELETE_ALARM: _delete_alarm,
        Action.ABORT_UPLOAD: _abort_upload,
        Action.TERMINATE: _terminate,
        Action.DELETE_SNAPSHOT: _delete_snapshot,
        Action.DELETE_PARKED: _delete_parked,
        Action.DELETE_COPY: _delete_copy,
        Action.UNMARK: _unmark,
        Action.COLLECT: _collect,
        Action.RESCUE: _rescue,
        Action.DRILL: _drill,
    }
    try:
        actions[finding.action](finding, now)
    except ClientError as error:
        if error.response["Error"]["Code"] in _DONE_ALREADY:
            return ""
        return str(error)
    except BotoCoreError as error:
        return str(error)
    logger.info("%s: %s (%s)", finding.action.value, finding.subject, finding.kind)
    return ""


def _delete_alarm(finding: Finding, _now: datetime) -> None:
    clients.cloudwatch().delete_alarms(AlarmNames=[finding.subject])


def _abort_upload(finding: Finding, _now: datetime) -> None:
    bucket = VmcoreBucketName.read().bucket_name
    clients.s3().abort_multipart_upload(Bucket=bucket, Key=finding.subject, UploadId=finding.upload_id)


def _terminate(finding: Finding, _now: datetime) -> None:
    clients.ec2().terminate_instances(InstanceIds=[finding.subject])


def _delete_snapshot(finding: Finding, _now: datetime) -> None:
    clients.ec2().delete_snapshot(SnapshotId=finding.subject)


def _delete_parked(finding: Finding, _now: datetime) -> None:
    forget_parked(RecordKeeping.read().table_name, finding.instance_id)


def _delete_copy(finding: Finding, _now: datetime) -> None:
    clients.ec2().delete_volume(VolumeId=finding.subject)


def _unmark(finding: Finding, _now: datetime) -> None:
    clients.ec2().delete_tags(Resources=[finding.subject], Tags=[{"Key": key} for key in READY_TAGS])


def _collect(finding: Finding, now: datetime) -> None:
    # The name holds the day: two sweeps on one day start one execution, and a failed one is tried again tomorrow.
    name = f"sweep-{moment.compact(now)[:8]}-{finding.instance_id}"
    machine = Collection.read().collect_vmcore_arn
    given = json.dumps({"instanceId": finding.instance_id})
    clients.stepfunctions().start_execution(stateMachineArn=machine, name=name, input=given)


def _rescue(finding: Finding, now: datetime) -> None:
    """Counts the attempt first: a sweep that dies in between costs an attempt, and none is made twice."""
    volume_id, table = finding.subject, RecordKeeping.read().table_name
    if not claim_attempt(table, volume_id, attempt=finding.attempt, group=finding.group, now=now):
        logger.info("%s: another sweep has it read", volume_id)
        return
    clients.stepfunctions().start_execution(
        stateMachineArn=Rescue.read().rescue_vmcore_arn,
        name=f"orphan-{volume_id}-{finding.attempt}",
        input=json.dumps(
            {
                "instanceId": finding.instance_id,
                "orphanedVolumeId": volume_id,
                "reason": f"{finding.instance_id} is terminated; it was in the Auto Scaling group {finding.group}.",
            }
        ),
    )


def _drill(finding: Finding, now: datetime) -> None:
    """Notes it first: a sweep that dies in between costs this combination a drill, and none is begun twice."""
    # The claim is of one combination; on a day the same instance may stand for two.
    name = f"sweep-{moment.compact(now)}-{finding.instance_id}"
    if not claim_drill(RecordKeeping.read().table_name, finding.proof, name=name, seen=finding.begun_at, now=now):
        logger.info("%s: another sweep has it drilled", finding.subject)
        return
    clients.stepfunctions().start_execution(
        stateMachineArn=Drills.read().drill_dump_arn,
        name=name,
        input=json.dumps({"instanceId": finding.instance_id, "combination": finding.proof}),
    )


# CreateTags takes up to 1,000 resources, but one missing resource fails the whole call.
_IDS_A_CALL = 100


def renew_readiness(checked: Iterable[Checked], *, seen_at: datetime, time_left: TimeLeft) -> None:
    """Tags the ready instances anew. `seen_at` must not be later than the checks. `time_left.unseen` gets failures."""
    by_boot: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in checked:
        if each.is_ready and each.kernel:
            by_boot[each.kernel, each.config].append(each.instance_id)
    for (kernel, config), instance_ids in sorted(by_boot.items()):
        for start in range(0, len(instance_ids), _IDS_A_CALL):
            chunk = instance_ids[start : start + _IDS_A_CALL]
            tags = {READY_TAG: moment.iso(seen_at), READY_KERNEL_TAG: kernel, READY_CONFIG_TAG: config}
            try:
                clients.ec2().create_tags(
                    Resources=chunk, Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
                )
            except (ClientError, BotoCoreError) as error:
                time_left.unseen.append(f"{len(chunk)} instances are ready, but could not be tagged: {error}")
            else:
                logger.info("Seen ready with the kernel %s: %d instances", kernel, len(chunk))
