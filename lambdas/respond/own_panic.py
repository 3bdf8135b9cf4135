"""Takes up a panic that a kernel had by itself: its dump is fetched, and nothing is interrupted."""

from lambdas.incident.record import Incident, State, timeline_entry
from lambdas.respond.claim import last_crash, record_panic
from lambdas.respond.decision import Evidence
from lambdas.runtime import moment
from lambdas.runtime.environment import InterruptLimits


def why_not_new(instance_id: str, evidence: Evidence, *, table: str) -> str:
    """Why the panic on the console is that of a concluded incident; empty when it is a new one.

    A crash kernel that never ends keeps its console, and would be a new panic at each question.
    """
    known = last_crash(table, instance_id)
    if known is None or known.state != State.CONCLUDED:
        return ""
    recorded_epoch = evidence.last_interrupt_epoch or 0
    has_pinged = (evidence.last_ping_epoch or 0) > recorded_epoch
    if has_pinged or evidence.booted_epoch - moment.CLOCK_SLACK_SECONDS > recorded_epoch:
        return ""
    return (
        f"The console shows the crash of the incident {known.incident_id}, which is concluded, and the instance has"
        " neither booted nor pinged since: its crash kernel hangs."
    )


def take_up(opened: Incident, evidence: Evidence, *, table: str, limits: InterruptLimits) -> bool:
    """Records that the instance of the incident `opened` panicked; False when another incident has this panic."""
    entry = timeline_entry(moment.now(), State.PANICKED.value, opened.detail or "")
    panicked = opened.model_copy(
        update={
            "decision": "collect",
            # It happened after the agent's last ping.
            "panicked_epoch": evidence.last_ping_epoch or evidence.booted_epoch,
            # The console from before the panic is unknown, so all of it counts.
            "console_baseline": None,
            "timeline": [*opened.timeline, entry],
        }
    )
    return record_panic(table, panicked, limits=limits, now=moment.now())
