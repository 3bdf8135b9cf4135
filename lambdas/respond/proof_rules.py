"""Rules that decide whether the instance hangs: facts that speak against it, then one complete class of proof.

docs/safety.md has them as a table. A person who requests an interrupt has seen the hang, so none of them applies.
"""

from typing import Literal

from lambdas.respond.decision import Decision, Evidence, Policy, Reason, missing, refusal
from lambdas.runtime import moment

TOO_YOUNG: Reason = "hang-too-young"
# If only the agent is silent, and for more than this many times silence_seconds, the agent is dead and not the kernel.
_DEAD_AGENT_FACTOR = 5
# Tolerance: EC2's check times and Systems Manager's ping times may differ by this much.
_ONSET_SLACK_SECONDS = 60
# If three instances of a zone fail this close together, the cause is rarely their kernels.
CORRELATION_SECONDS = 600
_CORRELATED_INSTANCES = 3
CORRELATED: Reason = "correlated-failure"
# An instance that still makes half of its earlier EBS writes is not hung.
_WORKING_SHARE = 0.5


def _scheduled_event(evidence: Evidence, _: Policy) -> Decision | None:
    if evidence.scheduled_events is None:
        return missing("the instance's scheduled events", evidence)
    if evidence.scheduled_events:
        return refusal("scheduled-event", f"EC2 has scheduled: {', '.join(evidence.scheduled_events)}.")
    return None


def _credits(evidence: Evidence, _: Policy) -> Decision | None:
    if evidence.is_out_of_credits is None:
        return missing("the instance's CPU credits", evidence)
    if evidence.is_out_of_credits:
        return refusal("no-credits", "The burstable instance has no CPU credits left: it is slow, not hung.")
    return None


def _symptom(evidence: Evidence, policy: Policy) -> Decision | None:
    """Refuses unless at least one symptom shows a hang. _proof decides later whether the symptoms suffice."""
    status = evidence.instance_status
    if status not in ("ok", "impaired"):
        # `initializing`: the instance has just started, and kdump may not have loaded the crash kernel yet.
        return missing(f"the instance status check, which is {status or 'unread'}", evidence)
    if evidence.last_ping_epoch is None:
        return missing("the agent's last ping", evidence)
    if None in (evidence.console_lockups, evidence.console_hung_tasks, evidence.console_hung_task_scans):
        return missing("the console", evidence)
    if status == "impaired":
        return _impairment(evidence, policy)
    if evidence.is_reported_by_kernel or _is_silent(evidence, policy):
        return None
    return refusal(
        "status-check-passes",
        "The instance status check is ok, the agent has pinged, and the console shows no hang of this boot.",
    )


def _impairment(evidence: Evidence, policy: Policy) -> Decision | None:
    if not evidence.impaired_epoch:
        return missing("when the instance status check began to fail", evidence)
    since = evidence.now_epoch - evidence.impaired_epoch
    if since < policy.impaired_seconds:
        detail = f"The instance status check has failed for {since} s; it must fail for {policy.impaired_seconds} s."
        return refusal(TOO_YOUNG, detail)
    return None


def _agent_since_boot(evidence: Evidence, _: Policy) -> Decision | None:
    """Refuses if the agent has not lived in this boot: the instance may have booted without its network."""
    pinged, booted = evidence.last_ping_epoch, evidence.booted_epoch
    if pinged and pinged < booted - moment.CLOCK_SLACK_SECONDS:
        at, since = (moment.iso(moment.at_epoch(each)) for each in (pinged, booted))
        return refusal("agent-was-dead", f"Its agent pinged last at {at}, and the instance booted at {since}.")
    return None


def _agent(evidence: Evidence, policy: Policy) -> Decision | None:
    """Refuses unless the agent fell silent at the onset. A later ping shows life; an earlier death proves nothing."""
    if not evidence.last_ping_epoch:
        return refusal("agent-was-dead", "Systems Manager does not know the instance: its silence shows nothing.")
    pinged_at = moment.iso(moment.at_epoch(evidence.last_ping_epoch))
    if evidence.is_only_silent:
        if evidence.now_epoch - evidence.last_ping_epoch > _DEAD_AGENT_FACTOR * policy.silence_seconds:
            return refusal("agent-was-dead", f"Its agent pinged last at {pinged_at}, and nothing else shows a hang.")
        return None
    after = evidence.last_ping_epoch - evidence.onset_epoch
    if after > _ONSET_SLACK_SECONDS:
        return refusal("instance-responds", f"Its agent pinged at {pinged_at}, {after} s after the onset.")
    if -after > policy.silence_seconds:
        detail = f"Its agent pinged last at {pinged_at}, {-after} s before the onset: it was dead before."
        return refusal("agent-was-dead", detail)
    return None


def _correlation(evidence: Evidence, _: Policy) -> Decision | None:
    if not evidence.impaired_epoch:
        return _correlated_silence(evidence)
    if evidence.impaired_in_zone is None:
        return missing("how many instances of the zone are impaired", evidence)
    if evidence.impaired_in_zone >= _CORRELATED_INSTANCES:
        detail = (
            f"{evidence.impaired_in_zone} instances in {evidence.availability_zone} became impaired within"
            f" {CORRELATION_SECONDS} s of each other: the zone, its network or a change is at fault, not one kernel."
        )
        return refusal(CORRELATED, detail)
    return None


def _correlated_silence(evidence: Evidence) -> Decision | None:
    """Agents that fell silent together have lost Systems Manager, and may have lost a file server with it.

    Pings are minutes apart: until the next ones of most of the unheard are due, nobody can tell.
    """
    unheard, overdue = evidence.unheard_in_zone, evidence.overdue_in_zone
    if unheard is None or overdue is None:
        return missing("how many agents of the zone are silent", evidence)
    if unheard < _CORRELATED_INSTANCES:
        return None
    seen = f"{unheard} enrolled instances in {evidence.availability_zone}"
    if overdue >= max(_CORRELATED_INSTANCES, unheard / 2):
        detail = f"{seen} fell silent together: Systems Manager, the network or a change is at fault, not one kernel."
        return refusal(CORRELATED, detail)
    return missing(f"whether it hangs alone: {seen} have not pinged since its onset yet", evidence)


def _work(evidence: Evidence, policy: Policy) -> Decision | None:
    """Refuses if the instance still writes to EBS. The hypervisor counts the writes even if the network is down."""
    if not evidence.is_cloudwatch_read:
        return missing("the instance's EBS writes", evidence)
    before, after, lately = evidence.ebs_writes_before, evidence.ebs_writes_after, evidence.ebs_writes_lately
    most = max(after or 0, lately or 0)
    # If no earlier period is known, any write counts as work, unless the kernel itself reports the hang.
    do_writes_count = before is not None or not evidence.is_reported_by_kernel
    if do_writes_count and most > 0 and most >= _WORKING_SHARE * (before or 0):
        earlier = "nobody knows how often" if before is None else f"{before} times"
        detail = f"It wrote {most} times to EBS in a period after the onset, and {earlier} before."
        return refusal("still-works", detail)
    if policy.is_hypervisor_evidence_required and after is None:
        return missing("the EBS writes in a full period after the onset", evidence)
    return None


def _proof(evidence: Evidence, policy: Policy) -> Decision | None:
    if evidence.instance_status == "impaired" or evidence.is_reported_by_kernel:
        return None
    if policy.is_silence_interrupted:
        return None
    since = evidence.now_epoch - (evidence.last_ping_epoch or 0)
    detail = (
        f"Its agent has been silent for {since} s, but the instance status check is ok and the console shows no hang."
    )
    return refusal("suspected-hang", detail)


def proof_of(evidence: Evidence) -> Literal["kernel-deaf", "kernel-says-so", "silence"]:
    """The class of proof behind an interrupt. Call it only if no rule objects."""
    if evidence.instance_status == "impaired":
        return "kernel-deaf"
    return "kernel-says-so" if evidence.is_reported_by_kernel else "silence"


def _is_silent(evidence: Evidence, policy: Policy) -> bool:
    return evidence.now_epoch - (evidence.last_ping_epoch or 0) > policy.silence_seconds


# _symptom comes before the rules that use the facts it requires; _proof is last, after all that speaks against a hang.
RULES = (_scheduled_event, _credits, _symptom, _agent_since_boot, _agent, _correlation, _work, _proof)
