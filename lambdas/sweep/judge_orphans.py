"""Judges dump volumes whose instance is gone: which of them RescueVmcore reads now, and why the others stay. Pure.

The rescue itself deletes the volume, right after it has seen that nothing of value is on it. Here is decided only which
volumes may be read: those of terminated members of Auto Scaling groups, some a sweep, the oldest first.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from lambdas.incident.record import Verdict
from lambdas.runtime.tags import RETAIN_TAG
from lambdas.sweep.case import Action, Case, Finding, is_over
from lambdas.sweep.found import Orphan, Volume
from lambdas.sweep.judge_instances import UNFINISHED

MOST_ATTEMPTS = 3
# A failed rescue is tried again after a day, then after two.
_AGAIN_AFTER = timedelta(days=1)
_ATTACH_IT = "Attach it to another instance, copy the dump if there is one, then delete the volume."
_NOT_READ = "the records of it could not be read"


def choose_to_read(case: Case) -> frozenset[str]:
    """The volumes that this sweep has read. Rescues that still run count: so many rescue instances run at most."""
    if not case.are_incidents_known:
        return frozenset()
    orphans = [each for each in case.found.volumes if not each.maker and case.is_orphaned(each)]
    readable = [each for each in orphans if not _is_being_read(case, each) and not _why_kept(case, each)]
    room = case.policy.orphan_rescues - sum(1 for each in orphans if _is_being_read(case, each))
    readable.sort(key=lambda each: (each.created_at, each.volume_id))
    return frozenset(each.volume_id for each in readable[: max(0, room)])


def judge_orphan(case: Case, volume: Volume, chosen: frozenset[str]) -> Iterator[Finding]:
    """A dump volume that outlived its instance."""
    size = f"The dump volume ({volume.size_gib} GiB) outlived its instance"
    orphan = case.found.orphans.get(volume.volume_id)
    if not _may_be_read(case, orphan):
        yield _finding(volume, "orphaned-volume", f"{size}; it may hold the only vmcore.", next_step=_ATTACH_IT)
    elif _is_being_read(case, volume):
        yield _finding(volume, "orphan-being-read", f"{size}; a rescue reads it.", is_quiet=True)
    elif why := _why_kept(case, volume):
        yield _finding(volume, "orphaned-volume", f"{size}, and stays: {why}.", next_step=_ATTACH_IT)
    elif volume.volume_id in chosen and orphan is not None:
        yield _finding(
            volume,
            "orphan-to-read",
            f"{size}, which was in the group {orphan.group}; a rescue reads whether a vmcore is on it.",
            action=Action.RESCUE,
            group=orphan.group,
            attempt=orphan.attempts + 1,
            is_quiet=True,
        )
    else:
        yield _finding(volume, "orphan-waiting", f"{size}; a later sweep has it read.", is_quiet=True)


def judge_removed(case: Case) -> Iterator[Finding]:
    """The volumes that rescues have deleted since the last sweep."""
    for incident in case.found.incidents.values():
        if incident is None or incident.removed_at is None:
            continue
        if case.is_older(incident.removed_at, case.policy.interval):
            continue
        yield Finding(
            kind="orphan-removed",
            subject=incident.removed_volume_id,
            instance_id=incident.instance_id,
            incident_id=incident.incident_id,
            detail=incident.reason,
            is_quiet=True,
        )


def _finding(volume: Volume, kind: str, detail: str, **more: object) -> Finding:
    return Finding(kind=kind, subject=volume.volume_id, instance_id=volume.instance_id, detail=detail, **more)  # type: ignore[arg-type]


def _may_be_read(case: Case, orphan: Orphan | None) -> bool:
    return case.policy.orphan_rescues > 0 and orphan is not None and bool(orphan.group)


def _is_being_read(case: Case, volume: Volume) -> bool:
    return volume.instance_id in case.busy


def _why_kept(case: Case, volume: Volume) -> str:
    """Why no rescue is started for it now; "": it may be read."""
    orphan = case.found.orphans.get(volume.volume_id)
    if orphan is None or not _may_be_read(case, orphan):
        return _NOT_READ
    return _why_not_ours(case, volume) or _why_not_now(case, volume, orphan) or _why_not_again(case, orphan)


def _why_not_ours(case: Case, volume: Volume) -> str:
    if not volume.is_of_stack:
        return "it lacks the tag of this stack"
    if volume.is_retained:
        return f"it is tagged {RETAIN_TAG}"
    if not volume.is_available:
        return "it is attached to another instance, or is not available"
    if Counter(each.instance_id for each in case.found.volumes if not each.maker)[volume.instance_id] > 1:
        return "its instance has left several dump volumes"
    return ""


def _why_not_now(case: Case, volume: Volume, orphan: Orphan) -> str:
    if orphan.has_opted_out:
        return "the owner of its instance had opted out"
    if not case.are_incidents_known:
        return "the incidents could not be read"
    for incident in case.found.incidents.values():
        # A rescue of a sweep that was stopped has left its incident without a verdict: another attempt may follow.
        if incident is None or incident.instance_id != volume.instance_id or incident.incident_id == orphan.incident_id:
            continue
        if incident.state in UNFINISHED:
            return f"the incident {incident.incident_id} has no verdict"
    return ""


def _why_not_again(case: Case, orphan: Orphan) -> str:
    last = case.incident(orphan.incident_id) if orphan.incident_id else None
    if orphan.attempts and orphan.incident_id and is_over(last) and last is not None and last.verdict != Verdict.FAILED:
        return last.reason.rstrip(".")
    said = f" ({last.reason.rstrip('.')})" if last is not None and last.reason else ""
    if orphan.attempts >= MOST_ATTEMPTS:
        return f"{orphan.attempts} rescues did not succeed{said}"
    if orphan.tried_at and not case.is_older(orphan.tried_at, _AGAIN_AFTER * 2 ** (orphan.attempts - 1)):
        return f"the rescue did not succeed and is tried again{said}"
    return ""
