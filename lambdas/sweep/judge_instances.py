"""Judges incidents without an end, and instances with an unfetched dump, not ready, or left in Standby. Pure."""

from collections.abc import Iterator

from lambdas.incident.record import CRASHED, State
from lambdas.runtime.visible_text import clip
from lambdas.sweep.case import Action, Case, Finding
from lambdas.sweep.found import Checked, IncidentFacts, InStandby

# With a crash kernel loaded all the same: this boot reserved too little memory, or the last dump could not be written.
_DUMP_IMPOSSIBLE = frozenset({"reboot-pending", "last-dump-failed"})
# For the report and a line of the log; check_kdump on the instance says all.
_LONGEST_FAULTS = 2_000

UNFINISHED = frozenset({State.OPENED, *CRASHED})


def judge_incident(case: Case, incident: IncidentFacts) -> Iterator[Finding]:
    """An incident without a verdict and without a running execution."""
    if incident.is_running or incident.state not in UNFINISHED:
        return
    if not case.is_settled(incident.opened_at):
        return
    again = f'{{"instanceId": "{incident.instance_id}", "incidentId": "{incident.incident_id}"}}'
    is_started = incident.state in CRASHED
    yield Finding(
        kind="incident-without-end",
        subject=incident.incident_id,
        instance_id=incident.instance_id,
        incident_id=incident.incident_id,
        detail=f"The incident has no verdict. It was opened at {incident.opened_at:%Y-%m-%dT%H:%M:%SZ}, its state is "
        f"{incident.state}, and no execution works on it.",
        next_step=f"Start CollectVmcore with {again}: it sends no interrupt, it only fetches the dump."
        if is_started
        else "No interrupt was sent. See its execution; if you want the dump, start CollectVmcore again.",
    )


def judge_uncollected(case: Case, checked: Checked) -> Iterator[Finding]:
    """A dump still on its instance, from a panic without an incident or after a failed collection."""
    if not checked.uncollected or checked.instance_id in case.busy:
        return
    may_collect = case.policy.collects and checked.is_complete
    yield Finding(
        kind="uncollected-dump" if checked.is_complete else "uncollected-incomplete-dump",
        subject=checked.instance_id,
        instance_id=checked.instance_id,
        detail=f"A dump that nobody fetched is on the instance: {checked.uncollected}.",
        next_step=f'Start CollectVmcore with {{"instanceId": "{checked.instance_id}"}}.',
        action=Action.COLLECT if may_collect else Action.REPORT,
    )


def judge_readiness(case: Case, checked: Checked) -> Iterator[Finding]:
    """An instance tagged ready that is not ready or cannot be checked."""
    if checked.instance_id in case.busy:
        return
    if not checked.is_reachable:
        yield Finding(
            kind="ready-but-unreachable",
            subject=checked.instance_id,
            instance_id=checked.instance_id,
            detail=f"The instance is running and tagged ready, but Systems Manager does not reach it: "
            f"{checked.ping_status}.",
            next_step="Repair its SSM agent: without it no hang can be confirmed and no dump be collected.",
        )
    if checked.is_ready is not False:
        return
    faults = clip("; ".join(f"{code}: {observed}" for code, observed in checked.faults.items()), _LONGEST_FAULTS)
    # With the other faults it might still dump; EnrolFleet provisions it again, and that decides.
    is_impossible = checked.is_crash_kernel_loaded is False or bool(_DUMP_IMPOSSIBLE & set(checked.faults))
    yield Finding(
        kind="not-ready",
        subject=checked.instance_id,
        instance_id=checked.instance_id,
        detail=f"The instance is tagged ready, but {'could not dump' if is_impossible else 'check_kdump found faults'}:"
        f" {faults}.",
        next_step="Run ProvisionDumpVolume for it: it repairs what it can and tags the instance ready again.",
        action=Action.UNMARK if is_impossible and case.policy.unmarks else Action.REPORT,
    )


def judge_standby(case: Case, in_standby: InStandby) -> Iterator[Finding]:
    """An instance still in Standby although no execution works on its incident."""
    incident = case.incident(in_standby.incident_id)
    if incident is None or in_standby.instance_id in case.busy:
        return
    if not case.is_settled(incident.opened_at):
        return
    group = in_standby.auto_scaling_group
    yield Finding(
        kind="left-in-standby",
        subject=in_standby.instance_id,
        instance_id=in_standby.instance_id,
        incident_id=in_standby.incident_id,
        detail=f"The instance is in Standby in the Auto Scaling group {group}, and no execution works on its incident.",
        next_step=f"If it is healthy: aws autoscaling exit-standby --auto-scaling-group-name {group} "
        f"--instance-ids {in_standby.instance_id}",
    )
