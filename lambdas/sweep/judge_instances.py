"""Judges incidents and instances: without an end, with a dump nobody fetched, not ready, left in Standby. Pure."""

from collections.abc import Iterator

from lambdas.incident.record import INTERRUPT_STARTED, State
from lambdas.sweep.case import Action, Case, Finding
from lambdas.sweep.found import Checked, IncidentFacts, InStandby

# With these no dump can happen, wherever the dump volume is mounted: the other faults depend on where that is, which a
# sweep knows only for instances that were provisioned with the deployment's settings.
DUMP_IMPOSSIBLE = frozenset({"reservation-missing", "reboot-pending", "crash-kernel-not-loaded"})

UNFINISHED = frozenset({State.OPENED, *INTERRUPT_STARTED})


def judge_incident(case: Case, incident: IncidentFacts) -> Iterator[Finding]:
    """An incident without an end: nobody works on it, and it has no verdict."""
    if incident.is_running or incident.state not in UNFINISHED:
        return
    if not case.is_settled(incident.opened_at):
        return
    again = f'{{"instanceId": "{incident.instance_id}", "incidentId": "{incident.incident_id}"}}'
    is_started = incident.state in INTERRUPT_STARTED
    yield Finding(
        kind="incident-without-end",
        subject=incident.incident_id,
        instance_id=incident.instance_id,
        incident_id=incident.incident_id,
        detail=f"It is {incident.state} since {incident.opened_at:%Y-%m-%dT%H:%M:%SZ}, and no execution works on it.",
        next_step=f"Start CollectVmcore with {again}: it interrupts nothing, it looks for the dump."
        if is_started
        else "Nothing was interrupted. See its execution; start CollectVmcore again if the dump is wanted.",
    )


def judge_uncollected(case: Case, checked: Checked) -> Iterator[Finding]:
    """A dump that lies on its instance: a panic that happened by itself, or a collection that failed."""
    if not checked.uncollected or checked.instance_id in case.busy:
        return
    may_collect = case.policy.collects and checked.is_complete
    yield Finding(
        kind="uncollected-dump" if checked.is_complete else "uncollected-incomplete-dump",
        subject=checked.instance_id,
        instance_id=checked.instance_id,
        detail=f"{checked.uncollected} lies on the instance.",
        next_step=f'Start CollectVmcore with {{"instanceId": "{checked.instance_id}"}}.',
        action=Action.COLLECT if may_collect else Action.REPORT,
    )


def judge_readiness(case: Case, checked: Checked) -> Iterator[Finding]:
    """An instance that says ready but is not, or of which nobody can tell."""
    if checked.instance_id in case.busy:
        return
    if not checked.is_reachable:
        yield Finding(
            kind="ready-but-unreachable",
            subject=checked.instance_id,
            instance_id=checked.instance_id,
            detail=f"It is tagged ready and runs, but Systems Manager does not reach it: {checked.ping_status}.",
            next_step="Repair its SSM agent: no hang could be confirmed and no dump be collected.",
        )
    if checked.is_ready is not False:
        return
    faults = "; ".join(f"{code}: {observed}" for code, observed in checked.faults.items())
    is_impossible = bool(DUMP_IMPOSSIBLE & set(checked.faults))
    yield Finding(
        kind="not-ready",
        subject=checked.instance_id,
        instance_id=checked.instance_id,
        detail=f"It is tagged ready, but {'would not dump' if is_impossible else 'a check found faults'}: {faults}.",
        next_step="Run ProvisionDumpVolume for it: it repairs what it can and marks it ready again.",
        action=Action.UNMARK if is_impossible and case.policy.unmarks else Action.REPORT,
    )


def judge_standby(case: Case, in_standby: InStandby) -> Iterator[Finding]:
    """The incident is over, and the instance still does not serve."""
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
        detail=f"It is in Standby in the Auto Scaling group {group}, and no execution works on it.",
        next_step=f"If it is well: aws autoscaling exit-standby --auto-scaling-group-name {group} "
        f"--instance-ids {in_standby.instance_id}",
    )
