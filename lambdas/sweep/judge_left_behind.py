"""Judges volumes, snapshots, short-lived instances, uploads and alarms that were left behind. Pure.

A resource is removed only if an execution of our record made it, no execution works with it, and its data also exists
elsewhere. In doubt a resource is only reported. Dump volumes whose instance is gone: judge_orphans.py.
"""

from collections.abc import Iterator
from datetime import datetime

from lambdas.incident.drill_keys import DRILL_PREFIX
from lambdas.short_lived.made_by import why_not_made_by
from lambdas.sweep.case import Action, Case, Finding, is_over, is_safe
from lambdas.sweep.found import Alarm, IncidentFacts, ParkedSnapshot, ShortLived, Snapshot, Upload, Volume


def judge_unused_volume(case: Case, volume: Volume) -> Iterator[Finding]:
    """A dump volume that a failed provisioning could neither attach nor remove, or that was not parked again."""
    if not case.is_settled(volume.created_at) or case.is_gone(volume.instance_id):
        return
    if volume.is_attached and case.found.parked.get(volume.instance_id) and volume.instance_id not in case.busy:
        yield Finding(
            kind="unparked-volume",
            subject=volume.volume_id,
            instance_id=volume.instance_id,
            detail=f"The dump volume ({volume.size_gib} GiB) is attached, although that of its instance is parked.",
            next_step="Collect the dump on it, if there is one, then run ProvisionDumpVolume for the instance: it is "
            "parked again.",
        )
    # If the instance was not looked up, nothing is known about its volume.
    if volume.instance_id in case.found.instances and not volume.is_attached:
        yield Finding(
            kind="unused-volume",
            subject=volume.volume_id,
            instance_id=volume.instance_id,
            detail=f"The dump volume ({volume.size_gib} GiB) is not attached, although its instance exists.",
            next_step="Run ProvisionDumpVolume for the instance: it attaches what it created, if that is large enough. "
            "Otherwise attach it yourself, or delete it if it is empty.",
        )


def judge_short_lived_volume(case: Case, volume: Volume) -> Iterator[Finding]:
    """A rescue's copy, or a root: worthless if its dump volume still exists or the vmcore is in S3."""
    incident = case.incident(volume.incident_id)
    is_elsewhere = _is_elsewhere(case, incident, volume.copy_of)
    is_waste = _is_left(case, volume, volume.created_at) and is_elsewhere and not volume.is_attached
    yield from _left_behind(
        case,
        "volume",
        volume,
        subject=volume.volume_id,
        made_at=volume.created_at,
        removal=Action.DELETE_COPY if is_waste else Action.REPORT,
    )


def judge_snapshot(case: Case, snapshot: Snapshot) -> Iterator[Finding]:
    """A rescue's snapshot: worthless if its volume still exists or the vmcore is in S3."""
    incident = case.incident(snapshot.incident_id)
    is_elsewhere = _is_elsewhere(case, incident, snapshot.volume_id)
    is_waste = _is_left(case, snapshot, snapshot.created_at) and is_elsewhere
    yield from _left_behind(
        case,
        "snapshot",
        snapshot,
        subject=snapshot.snapshot_id,
        made_at=snapshot.created_at,
        removal=Action.DELETE_SNAPSHOT if is_waste else Action.REPORT,
    )


def judge_parked_snapshot(case: Case, snapshot: ParkedSnapshot) -> Iterator[Finding]:
    """The snapshot of a parked dump volume, which is empty: it is of no use without its instance and its record."""
    recorded = case.found.parked.get(snapshot.instance_id)
    if recorded is None or not case.is_settled(snapshot.created_at):
        return
    is_recorded = recorded == snapshot.snapshot_id and snapshot.is_of_stack
    if case.is_gone(snapshot.instance_id):
        yield Finding(
            kind="parked-without-instance",
            subject=snapshot.snapshot_id,
            instance_id=snapshot.instance_id,
            detail="It is the parked dump volume of an instance that is terminated.",
            next_step="" if is_recorded else "ProvisionDumpVolume has no record of it: delete it if nobody needs it.",
            action=Action.DELETE_PARKED if is_recorded else Action.REPORT,
        )
    elif not is_recorded and snapshot.instance_id in case.found.instances:
        yield Finding(
            kind="unused-snapshot",
            subject=snapshot.snapshot_id,
            instance_id=snapshot.instance_id,
            detail="It is tagged as the parked dump volume of its instance, but the record names "
            f"{recorded or 'none'}.",
            next_step="Delete it if nobody needs it.",
        )


def judge_unparked(case: Case, instance_id: str) -> Iterator[Finding]:
    """An enrolled instance whose parked dump volume is gone: its crash kernel would wait in vain."""
    if instance_id in case.busy or not (case.found.fleet or {}).get(instance_id):
        return
    yield Finding(
        kind="parked-volume-gone",
        subject=instance_id,
        instance_id=instance_id,
        detail="The instance is tagged ready, but its dump volume is parked as "
        f"{case.found.parked[instance_id]}, which is gone.",
        next_step="Run ProvisionDumpVolume for it: it makes and parks another one.",
        action=Action.UNMARK if case.policy.unmarks else Action.REPORT,
    )


def _is_elsewhere(case: Case, incident: IncidentFacts | None, volume_id: str) -> bool:
    """Whether a copy of the dump volume holds nothing that only it holds; of a deleted one, nothing was of value."""
    is_deleted = incident is not None and bool(volume_id) and incident.removed_volume_id == volume_id
    return is_safe(incident) or is_deleted or volume_id in case.dump_volumes


def judge_short_lived(case: Case, instance: ShortLived) -> Iterator[Finding]:
    """A short-lived instance: it only reads, so it is useless once its execution and its incident are over."""
    is_waste = _is_left(case, instance, instance.launched_at)
    yield from _left_behind(
        case,
        "instance",
        instance,
        subject=instance.short_lived_id,
        made_at=instance.launched_at,
        removal=Action.TERMINATE if is_waste else Action.REPORT,
    )


def judge_upload(case: Case, upload: Upload) -> Iterator[Finding]:
    """An upload that nobody completes. The vmcore is in S3, on its instance, or lost with the instance."""
    incident = case.incident(upload.incident_id)
    if upload.incident_id not in case.found.incidents or (incident is not None and incident.is_running):
        return
    age = case.policy.minimum_age if is_safe(incident) else case.policy.abandoned_after
    is_gone = case.is_gone(upload.instance_id)
    if not case.is_older(upload.initiated_at, case.policy.minimum_age if is_gone else age):
        return
    # An instance that could not be looked up may be gone too.
    is_only_copy = not is_safe(incident) and (is_gone or upload.instance_id not in case.found.instances)
    is_waste = incident is not None and not is_only_copy
    yield Finding(
        kind="abandoned-upload",
        subject=upload.key,
        upload_id=upload.upload_id,
        instance_id=upload.instance_id,
        incident_id=upload.incident_id,
        detail=f"The upload began at {upload.initiated_at:%Y-%m-%dT%H:%M:%SZ}, and no execution works on it."
        + (" Its instance was not found: these parts may be all that is left." if is_only_copy else ""),
        next_step="" if is_waste else "Nothing: the bucket's lifecycle aborts it seven days after it began.",
        action=Action.ABORT_UPLOAD if is_waste else Action.REPORT,
    )


def judge_alarm(case: Case, alarm: Alarm) -> Iterator[Finding]:
    """A hang alarm whose instance is gone: it would wait for data for ever."""
    if case.is_gone(alarm.instance_id) and case.is_settled(alarm.updated_at):
        yield Finding(
            kind="alarm-without-instance",
            subject=alarm.name,
            instance_id=alarm.instance_id,
            detail="Its instance is terminated.",
            action=Action.DELETE_ALARM,
        )


def _is_left(case: Case, made: Volume | Snapshot | ShortLived, made_at: datetime) -> bool:
    """Whether nobody works with it, and the record says that this execution made it: tags alone can be forged."""
    incident = case.incident(made.incident_id)
    if incident is None or not made.is_removable or not case.is_settled(made_at):
        return False
    # What is analysed is in the bucket, and a drill's twin is nobody's: the record itself may be without a verdict.
    if not is_over(incident) and not incident.makes_only_a_twin(made.maker):
        return False
    is_instance = isinstance(made, ShortLived)
    why_not = why_not_made_by(
        made.maker, incident, for_instance=made.instance_id, made_at=made_at, is_instance=is_instance
    )
    if why_not or (isinstance(made, ShortLived) and not made.is_of_its_maker):
        return False
    began = incident.made_since(made.maker)
    return began is not None and made_at <= began + case.policy.maker_needs


# Reports of earlier versions call the instance of a rescue so.
_NAMES = {
    ("rescue", "instance"): "rescue-collector",
    ("analysis", "instance"): "analysis-twin",
    ("drill", "instance"): "drill-twin",
}


def _left_behind(
    case: Case, what: str, made: Volume | Snapshot | ShortLived, *, subject: str, made_at: datetime, removal: Action
) -> Iterator[Finding]:
    incident = case.incident(made.incident_id)
    if made.maker in case.found.running or (incident is not None and incident.is_running):
        return
    if removal is Action.REPORT:
        if not case.is_older(made_at, case.policy.maker_needs):
            return
        why = f"its incident is {incident.state}" if incident is not None else "its incident has no record"
    else:
        why = "its incident is concluded"
    act = "drill" if made.incident_id.startswith(DRILL_PREFIX) else "rescue"
    if act == "rescue" and incident is not None and incident.makes_only_a_twin(made.maker):
        act = "analysis"
    yield Finding(
        kind=_NAMES.get((act, what), f"{act}-{what}"),
        subject=subject,
        instance_id=made.instance_id,
        incident_id=made.incident_id,
        detail=f"It was created for the {act} of {made.instance_id or 'an instance'} and still exists; {why}.",
        next_step="Check whether it holds the only copy of a dump, then delete it." if removal is Action.REPORT else "",
        action=removal,
    )
