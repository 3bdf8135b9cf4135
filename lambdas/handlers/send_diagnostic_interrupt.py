"""Interrupts an instance at a person's request. All rules apply but those that the request waives (decision.py).

lambdas/respond has the rules (timing_rules.py, instance_rules.py) and sends the interrupt (interrupt.py).
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.incident.record import Incident, State, timeline_entry
from lambdas.incident.table import IncidentTable
from lambdas.respond.announcement import announce_once
from lambdas.respond.claim import DUPLICATE
from lambdas.respond.decision import PANICKED
from lambdas.respond.evidence import Gathered, gather, policy
from lambdas.respond.interrupt import confirm_in_standby, interrupt_once
from lambdas.respond.own_panic import take_up, why_not_new
from lambdas.respond.timing_rules import decide
from lambdas.runtime import moment
from lambdas.runtime.environment import InterruptLimits, RecordKeeping
from lambdas.runtime.errors import InvalidInput
from lambdas.runtime.observability import count, entry_point, logger
from lambdas.runtime.telemetry_names import LogField, Metric

_PANIC_TAKEN = "The kernel panicked on its own, and an alarm has reported it: that incident fetches the dump."


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"incidentId","instanceId"}`, gives `{"decision","reason","detail","since","interruptedEpoch"?}`.

    The decision is `interrupt` also when the kernel panicked on its own, and its dump is fetched; a vmcore after
    `since` counts.
    """
    records = IncidentTable(RecordKeeping.read().table_name)
    known = records.read(event["incidentId"])
    if known is None:
        raise InvalidInput(f"No incident {event['incidentId']} in the table.", "Start CollectVmcore instead.")
    if known.state != State.OPENED:
        records.settle_interrupting(known, now=moment.now())
        return _answer_and_announce(known.incident_id, records)
    limits = InterruptLimits.read()
    rules = policy(limits, is_requested=True)

    def gather_now(before: Gathered | None) -> Gathered:
        instance_id, table = known.instance_id, records.name
        return gather(instance_id, alarm=None, table=table, limits=limits, now=moment.now(), before=before)

    gathered = gather_now(None)
    decision = decide(gathered.evidence, rules)
    logger.info(
        *("Decision: %s, %s. %s", decision.action, decision.reason, decision.detail),
        extra={LogField.DECISION: decision.action, LogField.REASON: decision.reason},
    )
    decided = known.model_copy(
        update={
            "evidence": gathered.evidence.as_json(),
            "console_baseline": gathered.console_baseline,
            "network": gathered.network,
            "launched_from": gathered.launched_from,
            "decision": decision.action,
            "reason": decision.reason,
            "detail": decision.detail,
            # appended to what the record has
            "timeline": [timeline_entry(moment.now(), "decided", f"{decision.action}: {decision.reason}")],
        }
    )
    if decision.reason == PANICKED:
        why_not = why_not_new(known.instance_id, gathered.evidence, table=records.name)
        if not why_not and take_up(decided, gathered.evidence, table=records.name, limits=limits):
            return _answer_and_announce(known.incident_id, records)
        return _record_refusal(decided.model_copy(update={"detail": why_not or _PANIC_TAKEN}), records)
    if decision.action != "interrupt":
        return _record_refusal(decided, records)
    outcome = interrupt_once(
        decided,
        place=gathered.place,
        table=records,
        limits=limits,
        clock=moment.now,
        confirm=lambda: confirm_in_standby(gathered.evidence, rules, lambda: gather_now(gathered)),
    )
    if outcome.kind == "claim-refused" and outcome.reason != DUPLICATE:
        refused = {"decision": "refuse", "reason": outcome.reason, "detail": outcome.detail}
        return _record_refusal(decided.model_copy(update=refused), records)
    return _answer_and_announce(known.incident_id, records)


def _record_refusal(refused: Incident, records: IncidentTable) -> dict[str, Any]:
    """Only records the refusal; conclude_incident notifies."""
    state = State.DRY_RUN if refused.decision == "dry-run" else State.REFUSED
    fields = refused.as_json()
    timeline = fields.pop("timeline")
    records.update(refused.incident_id, fields | {"state": state.value}, timeline=timeline, only_in=[State.OPENED])
    count(Metric.REFUSALS, reason=refused.reason or "")
    return _answer(refused)


def _answer_and_announce(incident: str, records: IncidentTable) -> dict[str, Any]:
    """The recorded decision, also when this state runs again: it never interrupts a second time."""
    known = records.read(incident)
    if known is None:
        raise InvalidInput(f"The record of the incident {incident} is gone.", "Was it deleted by hand?")
    if not known.is_crashed:
        return _answer(known)
    try:
        announce_once(known, records)
    except (ClientError, BotoCoreError):
        # The collection must begin; the verdict is told at its end.
        logger.exception("The interrupt could not be announced")
    return _answer(known) | {"decision": "interrupt", "interruptedEpoch": known.started_epoch}


def _answer(known: Incident) -> dict[str, Any]:
    return {
        "decision": known.decision or "refuse",
        "reason": known.reason or "",
        "detail": known.detail or "",
        "since": known.facts(since_epoch=known.since_epoch)["since"],
    }
