"""Judges what was left behind: volumes, snapshots, collectors, uploads, alarms. Pure.

Removed is only what carries our mark, has no one working on it, and holds nothing that is not also elsewhere. A dump
volume is never removed: it may hold the only vmcore of a crash. When in doubt, it is reported.
"""

from collections.abc import Iterator
from datetime import datetime

from lambdas.sweep.case import Action, Case, Finding, is_over, is_safe
from lambdas.sweep.found import Alarm, Collector, Snapshot, Upload, Volume


def judge_dump_volume(case: Case, volume: Volume) -> Iterator[Finding]:
    """Its instance is gone, or never got it. Never removed."""
    if not case.is_settled(volume.created_at):
        return
    if not case.is_gone(volume.instance_id):
        yield from _judge_unused(case, volume)
        return
    yield Finding(
        kind="orphaned-volume",
        subject=volume.volume_id,
        instance_id=volume.instance_id,
        detail=f"The dump volume ({volume.size_gib} GiB) outlived its instance; it may hold the only vmcore.",
        next_step="Attach it to another instance and look below its root for a dump, then delete it.",
    )


def _judge_unused(case: Case, volume: Volume) -> Iterator[Finding]:
    """As a provisioning leaves it that could not attach or remove it."""
    # An instance that nobody looked up says nothing of its volume.
    if volume.instance_id in case.found.instances and not volume.is_attached:
        yield Finding(
            kind="unused-volume",
            subject=volume.volume_id,
            instance_id=volume.instance_id,
            detail=f"The dump volume ({volume.size_gib} GiB) is attached to nothing, and its instance is there.",
            next_step="Run ProvisionDumpVolume for the instance, which uses it; or see that it is empty and delete it.",
        )


def judge_copy(case: Case, volume: Volume) -> Iterator[Finding]:
    """Of no more value than the dump volume that it was made of, or the vmcore in S3."""
    incident = case.incident(volume.incident_id)
    is_waste = (
        is_over(incident)
        and (is_safe(incident) or volume.copy_of in case.dump_volumes)
        and volume.is_of_this_stack
        and not volume.is_attached
        and case.is_settled(volume.created_at)
    )
    yield from _of_rescue(
        case,
        "rescue-volume",
        volume,
        subject=volume.volume_id,
        made_at=volume.created_at,
        removal=Action.DELETE_COPY if is_waste else Action.REPORT,
    )


def judge_snapshot(case: Case, snapshot: Snapshot) -> Iterator[Finding]:
    """Of no more value than the volume that it was taken of, or the vmcore in S3."""
    incident = case.incident(snapshot.incident_id)
    is_elsewhere = is_safe(incident) or snapshot.volume_id in case.dump_volumes
    is_waste = is_over(incident) and is_elsewhere and snapshot.is_of_this_stack and case.is_settled(snapshot.created_at)
    yield from _of_rescue(
        case,
        "rescue-snapshot",
        snapshot,
        subject=snapshot.snapshot_id,
        made_at=snapshot.created_at,
        removal=Action.DELETE_SNAPSHOT if is_waste else Action.REPORT,
    )


def judge_collector(case: Case, collector: Collector) -> Iterator[Finding]:
    """It only reads; when nobody works on its incident it does nothing but cost."""
    incident = case.incident(collector.incident_id)
    is_old = case.is_settled(collector.launched_at)
    is_waste = is_over(incident) and collector.is_of_this_stack and is_old
    yield from _of_rescue(
        case,
        "rescue-collector",
        collector,
        subject=collector.collector_id,
        made_at=collector.launched_at,
        removal=Action.TERMINATE_COLLECTOR if is_waste else Action.REPORT,
    )


def judge_upload(case: Case, upload: Upload) -> Iterator[Finding]:
    """Parts that nobody completes. The vmcore itself is in S3, on its instance, or lost with that."""
    incident = case.incident(upload.incident_id)
    if upload.incident_id not in case.found.incidents or (incident is not None and incident.is_running):
        return
    age = case.policy.minimum_age if is_safe(incident) else case.policy.abandoned_after
    is_gone = case.is_gone(upload.instance_id)
    if not case.is_older(upload.initiated_at, case.policy.minimum_age if is_gone else age):
        return
    # An instance that nobody could look up may be gone too.
    is_all_there_is = not is_safe(incident) and (is_gone or upload.instance_id not in case.found.instances)
    is_waste = incident is not None and not is_all_there_is
    yield Finding(
        kind="abandoned-upload",
        subject=upload.key,
        upload_id=upload.upload_id,
        instance_id=upload.instance_id,
        incident_id=upload.incident_id,
        detail=f"Begun {upload.initiated_at:%Y-%m-%dT%H:%M:%SZ}; no execution works on it."
        + (" Its instance was not found: these parts may be all that is left." if is_all_there_is else ""),
        next_step="" if is_waste else "The bucket's lifecycle aborts it seven days after its beginning.",
        action=Action.ABORT_UPLOAD if is_waste else Action.REPORT,
    )


def judge_alarm(case: Case, alarm: Alarm) -> Iterator[Finding]:
    """It would wait for data for ever."""
    if case.is_gone(alarm.instance_id) and case.is_settled(alarm.updated_at):
        yield Finding(
            kind="alarm-without-instance",
            subject=alarm.name,
            instance_id=alarm.instance_id,
            detail="Its instance is terminated.",
            action=Action.DELETE_ALARM,
        )


def _of_rescue(
    case: Case, kind: str, made: Volume | Snapshot | Collector, *, subject: str, made_at: datetime, removal: Action
) -> Iterator[Finding]:
    incident = case.incident(made.incident_id)
    if made.rescue in case.found.running or (incident is not None and incident.is_running):
        return
    if removal is Action.REPORT:
        if not case.is_older(made_at, case.policy.rescue_needs):
            return
        why = f"its incident is {incident.state}" if incident is not None else "there is no record of its incident"
    else:
        why = "its incident is concluded"
    yield Finding(
        kind=kind,
        subject=subject,
        instance_id=made.instance_id,
        incident_id=made.incident_id,
        detail=f"It was made for the rescue of {made.instance_id or 'an instance'} and is still there; {why}.",
        next_step="See whether it holds a dump that is nowhere else, then delete it."
        if removal is Action.REPORT
        else "",
        action=removal,
    )
