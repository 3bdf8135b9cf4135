"""Decides what a sweep reports, removes, unmarks and collects. Pure."""

from collections.abc import Iterator
from datetime import datetime

from lambdas.sweep import judge_drills, judge_instances, judge_left_behind, judge_orphans
from lambdas.sweep.case import Case, Finding, Policy
from lambdas.sweep.found import Found


def judge(found: Found, *, now: datetime, policy: Policy) -> tuple[Finding, ...]:
    """All findings. The sweep reports and acts in this order, so it terminates instances before it deletes the
    volumes that they use.
    """
    case = Case(found, now, policy)
    findings: list[Finding] = []
    for incident in found.incidents.values():
        findings += judge_instances.judge_incident(case, incident) if incident else ()
    for checked in found.checked:
        findings += judge_instances.judge_uncollected(case, checked)
        findings += judge_instances.judge_readiness(case, checked)
    for in_standby in found.in_standby:
        findings += judge_instances.judge_standby(case, in_standby)
    for instance in found.short_lived:
        findings += judge_left_behind.judge_short_lived(case, instance)
    findings += _judge_volumes(case)
    findings += judge_orphans.judge_removed(case)
    for snapshot in found.snapshots:
        findings += judge_left_behind.judge_snapshot(case, snapshot)
    for parked in found.parked_snapshots:
        findings += judge_left_behind.judge_parked_snapshot(case, parked)
    for instance_id in sorted(found.unparked):
        findings += judge_left_behind.judge_unparked(case, instance_id)
    for upload in found.uploads:
        findings += judge_left_behind.judge_upload(case, upload)
    for alarm in found.alarms:
        findings += judge_left_behind.judge_alarm(case, alarm)
    findings += judge_drills.judge_drills(case)
    return tuple(findings)


def _judge_volumes(case: Case) -> Iterator[Finding]:
    chosen = judge_orphans.choose_to_read(case)
    for volume in case.found.volumes:
        if volume.maker:
            yield from judge_left_behind.judge_short_lived_volume(case, volume)
        elif case.is_orphaned(volume):
            yield from judge_orphans.judge_orphan(case, volume, chosen)
        else:
            yield from judge_left_behind.judge_unused_volume(case, volume)
