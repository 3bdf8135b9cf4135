"""The steps of a response. Their order lets a retry recover from a crash between any two of them.

- There is a record already: resume from it.
- Otherwise: gather the facts, probe, gather them again, decide.
- Interrupt: claim, Standby, interrupt, start the collection, announce.
- The kernel panicked by itself: record, start the collection, announce.
- Refuse: record, notify; after Standby also ask for the return.
"""

import hashlib
import json
import time
from dataclasses import replace
from typing import Any

from lambdas.incident.object_keys import incident_id
from lambdas.incident.record import Incident, State, timeline_entry
from lambdas.incident.table import IncidentTable, create_incident
from lambdas.instance.probe import probe
from lambdas.respond.alarm_event import Alarm
from lambdas.respond.announcement import announce_once, note_if_news
from lambdas.respond.budget_notice import is_told_apart, notify_once
from lambdas.respond.claim import BUDGETS_SPENT, COOLDOWN, DUPLICATE
from lambdas.respond.decision import PANICKED, Evidence, Policy
from lambdas.respond.evidence import Gathered, gather, policy
from lambdas.respond.interrupt import confirm_in_standby, interrupt_once, prepared_meanwhile, verdict_of_refusal
from lambdas.respond.own_panic import take_up, why_not_new
from lambdas.respond.proof_rules import CORRELATED, TOO_YOUNG
from lambdas.respond.standby import ask_for_return
from lambdas.respond.timing_rules import decide, is_probe_needed
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import Collection, InterruptLimits, Notifications, Probe, RecordKeeping
from lambdas.runtime.errors import InvalidInput
from lambdas.runtime.notification import publish, sender, table
from lambdas.runtime.observability import count, logger
from lambdas.runtime.refusal_advice import next_step
from lambdas.runtime.telemetry_names import LogField, Metric


def respond(incident: str, alarm: Alarm, *, instance_id: str, is_first: bool) -> dict[str, Any]:
    """Responds to one state change of one alarm. A retry after a crash continues from the record.

    `is_first`: no earlier attempt took the lease, so the record is not read. If that is wrong, the claim or the
    creation of the record fails, and the response resumes.
    """
    records = IncidentTable(RecordKeeping.read().table_name)
    known = None if is_first else records.read(incident)
    if known is not None:
        return _resume(known, records)
    limits = InterruptLimits.read()
    rules = policy(limits, is_requested=False)
    gathered = _gather(instance_id, alarm, records, limits, rules)
    if is_probe_needed(gathered.evidence, rules):
        gathered = _probe_and_gather(instance_id, alarm, gathered, table=records.name, limits=limits)
    evidence = gathered.evidence
    decision = decide(evidence, rules)
    logger.info(
        *("Decision: %s, %s. %s", decision.action, decision.reason, decision.detail),
        extra={LogField.DECISION: decision.action, LogField.REASON: decision.reason},
    )
    opened = _new_incident(incident, alarm, instance_id, evidence).model_copy(
        update={
            "decision": decision.action,
            "reason": decision.reason,
            "detail": decision.detail,
            "console_baseline": gathered.console_baseline,
            "network": gathered.network,
            "launched_from": gathered.launched_from,
        }
    )
    if decision.reason == PANICKED:
        return _collect_panic(opened, evidence, records, limits)
    if decision.action != "interrupt":
        return _record_refusal(opened, records)
    outcome = interrupt_once(
        opened,
        place=gathered.place,
        table=records,
        limits=limits,
        clock=moment.now,
        confirm=lambda: confirm_in_standby(
            evidence, rules, lambda: _probe_and_gather(instance_id, alarm, gathered, table=records.name, limits=limits)
        ),
    )
    if outcome.kind == "claim-refused":
        return _after_refused_claim(opened, outcome.reason, records)
    if outcome.kind == "refused":
        return _notify_refusal(_reread(incident, records), records)
    known = _reread(incident, records)
    return _start_collection(known, records, decision=known.decision or "interrupt", reason=known.reason or "")


def _gather(instance_id: str, alarm: Alarm, records: IncidentTable, limits: InterruptLimits, rules: Policy) -> Gathered:
    """The evidence. If the hang is too young, waits until the check has failed long enough and gathers it again."""
    gathered = gather(instance_id, alarm=alarm, table=records.name, limits=limits, now=moment.now())
    evidence = gathered.evidence
    if decide(evidence, rules).reason != TOO_YOUNG:
        return gathered
    time.sleep(rules.impaired_seconds - (evidence.now_epoch - evidence.onset_epoch))
    return gather(instance_id, alarm=alarm, table=records.name, limits=limits, now=moment.now(), before=gathered)


def _collect_panic(
    opened: Incident, evidence: Evidence, records: IncidentTable, limits: InterruptLimits
) -> dict[str, Any]:
    """The kernel panicked by itself, after the agent's last ping: nothing is interrupted, and its dump is fetched."""
    why_not = why_not_new(opened.instance_id, evidence, table=records.name)
    if why_not:
        return _record_refusal(opened.model_copy(update={"detail": why_not}), records)
    if not take_up(opened, evidence, table=records.name, limits=limits):
        known = records.read(opened.incident_id)
        if known is not None:
            return _resume(known, records)
        detail = "Another alarm reported the same panic: its incident fetches the dump."
        return _record_refusal(opened.model_copy(update={"reason": "incident-open", "detail": detail}), records)
    return _start_collection(_reread(opened.incident_id, records), records, decision="collect", reason=PANICKED)


def resume_collection(incident: str, *, holds_lease: bool) -> dict[str, Any]:
    """Starts the collection if the incident's interrupt may have been sent but its collection is not concluded.

    Without the lease it announces nothing: the holder may still refuse the interrupt that it has claimed.
    """
    records = IncidentTable(RecordKeeping.read().table_name)
    known = records.read(incident)
    if known is None or not known.is_crashed or known.state == State.CONCLUDED:
        return {"incidentId": incident, "decision": "duplicate", "reason": "already-in-progress"}
    if not holds_lease and known.state == State.INTERRUPTING:
        return _result(known, decision="duplicate", reason="already-in-progress")
    return _start_collection(
        known, records, decision="duplicate", reason="already-interrupted", is_announced=holds_lease
    )


def report_invalid_alarm(alarm: Alarm, problem: InvalidInput) -> None:
    """Notifies once of an alarm that names no single instance or is too old. A retry finds the record and stops."""
    name = f"invalid-{hashlib.sha256(alarm.arn.encode()).hexdigest()[:12]}"
    invalid = Incident(
        incident_id=incident_id(alarm.changed_at, name),
        account_id=alarm.account_id,
        region=alarm.region,
        state=State.REFUSED,
        origin="alarm",
        alarm_name=alarm.name,
        reason="invalid-alarm",
        detail=str(problem),
        opened_at=moment.iso(moment.now()),
    )
    if not create_incident(RecordKeeping.read().table_name, invalid):
        return
    count(Metric.INVALID_ALARMS)
    lines = [str(problem), "", *table({"Alarm": alarm.name, "State since": moment.iso(alarm.changed_at)})]
    publish(Notifications.read().topic_arn, subject=f"Hangdump: alarm without one instance: {alarm.name}", lines=lines)


def _resume(known: Incident, records: IncidentTable) -> dict[str, Any]:
    """Continues from an existing record. It never interrupts."""
    records.settle_interrupting(known, now=moment.now())
    if known.state in (State.REFUSED, State.DRY_RUN, State.INTERRUPT_REFUSED):
        _notify_refusal(known, records)
        return _result(known, decision="duplicate", reason=known.reason or "")
    return resume_collection(known.incident_id, holds_lease=True)


def _probe_and_gather(
    instance_id: str, alarm: Alarm, before: Gathered, *, table: str, limits: InterruptLimits
) -> Gathered:
    """Probes, then gathers the evidence: in the minute that a probe takes, the kernel can panic or be rebooted."""
    settings = Probe.read()
    with prepared_meanwhile():
        answer = probe(instance_id, document=settings.probe_document, timeout_seconds=settings.probe_timeout_seconds)
    gathered = gather(instance_id, alarm=alarm, table=table, limits=limits, now=moment.now(), before=before)
    notes = (*gathered.evidence.notes, answer.detail)
    evidence = replace(gathered.evidence, is_probe_answered=answer.is_answered, notes=notes)
    return replace(gathered, evidence=evidence)


def _new_incident(incident: str, alarm: Alarm, instance_id: str, evidence: Evidence) -> Incident:
    return Incident(
        incident_id=incident,
        instance_id=instance_id,
        account_id=alarm.account_id,
        region=alarm.region,
        origin="alarm",
        alarm_name=alarm.name,
        hang=alarm.hang,
        opened_at=moment.iso(moment.now()),
        evidence=evidence.as_json(),
        drill=evidence.drill,
        timeline=[timeline_entry(alarm.changed_at, "alarm", alarm.name), timeline_entry(moment.now(), "decided")],
    )


def _after_refused_claim(opened: Incident, reason: str, records: IncidentTable) -> dict[str, Any]:
    if reason == DUPLICATE:
        return _resume(_reread(opened.incident_id, records), records)
    detail = "Another interrupt was claimed while this one was decided."
    if reason == COOLDOWN:
        reason = "incident-open"
    refused = opened.model_copy(update={"decision": "refuse", "reason": reason, "detail": detail})
    return _record_refusal(refused, records)


def _record_refusal(refused: Incident, records: IncidentTable) -> dict[str, Any]:
    state = State.DRY_RUN if refused.decision == "dry-run" else State.REFUSED
    reason = refused.reason or ""
    if not note_if_news(records.name, refused):
        logger.info("Not recorded again: %s", reason)
        return _result(refused, decision="refuse", reason=reason)
    entry = timeline_entry(moment.now(), state.value, f"{reason}: {refused.detail}")
    recorded = refused.model_copy(
        update={"state": state, "verdict": verdict_of_refusal(reason), "timeline": [*refused.timeline, entry]}
    )
    if not create_incident(records.name, recorded):
        return _resume(_reread(refused.incident_id, records), records)
    return _notify_refusal(recorded, records)


def _notify_refusal(refused: Incident, records: IncidentTable) -> dict[str, Any]:
    """Notifies once. After a crash between sending and recording, the retry sends again: twice is better than never."""
    ask_for_return(refused)
    reason = refused.reason or ""
    # A refusal after the claim has a record already, so whether it is news was not asked yet.
    if refused.notified_at is None and note_if_news(records.name, refused):
        verdict = verdict_of_refusal(reason).value
        count(Metric.INCIDENTS, verdict=verdict)
        count(Metric.REFUSALS, reason=reason)
        if reason in (*BUDGETS_SPENT, CORRELATED):
            notify_once(records.name, refused)
            return _result(refused, decision="refuse", reason=reason)
        if is_told_apart(records.name, refused):
            subject = f"{sender(refused.drill)}: {verdict} ({reason}) {refused.instance_id}"
            publish(Notifications.read().topic_arn, subject=subject, lines=_refusal_lines(refused))
        records.update(refused.incident_id, {"notifiedAt": moment.iso(moment.now())})
    return _result(refused, decision="dry-run" if refused.state == State.DRY_RUN else "refuse", reason=reason)


def _refusal_lines(refused: Incident) -> list[str]:
    return [
        f"{refused.instance_id} was not interrupted: {refused.reason}. {refused.detail}",
        "",
        *table(
            {
                "Next": next_step(refused.reason or ""),
                "Alarm": refused.alarm_name,
                "Incident": refused.incident_id,
                "Account": f"{refused.account_id} {refused.region}",
                "Evidence": json.dumps(refused.evidence, sort_keys=True),
            }
        ),
    ]


def _start_collection(
    known: Incident, records: IncidentTable, *, decision: str, reason: str, is_announced: bool = True
) -> dict[str, Any]:
    """Starts one execution per incident: its name is the incident's id, so a second start is refused."""
    machine = Collection.read().collect_vmcore_arn
    execution = machine.replace(":stateMachine:", ":execution:") + f":{known.incident_id}"
    if known.execution_arn is None:
        given = json.dumps({"instanceId": known.instance_id, "incidentId": known.incident_id})
        try:
            clients.stepfunctions().start_execution(stateMachineArn=machine, name=known.incident_id, input=given)
        except clients.stepfunctions().exceptions.ExecutionAlreadyExists:
            logger.info("The collection already runs: %s", execution)
        entry = timeline_entry(moment.now(), "collection-started")
        records.update(known.incident_id, {"executionArn": execution}, timeline=[entry])
    if is_announced:
        announce_once(known, records)
    return _result(known, decision=decision, reason=reason) | {"executionArn": execution}


def _reread(incident: str, records: IncidentTable) -> Incident:
    known = records.read(incident)
    if known is None:
        raise RuntimeError(f"The record of incident {incident} is gone from the table: was it deleted by hand?")
    return known


def _result(known: Incident, *, decision: str, reason: str) -> dict[str, Any]:
    return {"incidentId": known.incident_id, "decision": decision, "reason": reason}
