"""Sends the one diagnostic interrupt of an incident: claim, store evidence, enter Standby, send, record.

timing_rules.py decides whether to. Nothing here is tried twice: a second NMI can kill the dump that the first one
started, so a later invocation reads the record and collects.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.incident.index_fields import index_fields
from lambdas.incident.record import Incident, State, Verdict, timeline_entry
from lambdas.incident.table import IncidentTable
from lambdas.respond.claim import Place, claim, give_back
from lambdas.respond.decision import PANICKED, Evidence, Policy
from lambdas.respond.evidence import Gathered
from lambdas.respond.evidence_first import EvidenceFirst, Kept
from lambdas.respond.kill_switch import Obstacle, read_stop
from lambdas.respond.standby import stand_by
from lambdas.respond.timing_rules import decide
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import InterruptLimits
from lambdas.runtime.observability import count, logger
from lambdas.runtime.telemetry_names import LogField, Metric

# EC2 answers these before it acts. After any other error, above all a timeout, the interrupt may have been sent.
_DEFINITE_REFUSALS = ("UnsupportedOperation", "IncorrectInstanceState", "UnauthorizedOperation", "RequestLimitExceeded")
_DEFINITE_REFUSAL_PREFIX = "InvalidInstanceID."

# Check the hang again if Standby took longer than this: somebody may have rebooted the instance meanwhile.
_RECHECK_AFTER_SECONDS = 30

_STATES = {
    "sent": State.INTERRUPTED,
    "uncertain": State.INTERRUPT_UNCERTAIN,
    "panicked": State.PANICKED,
    "refused": State.INTERRUPT_REFUSED,
}


@dataclass(frozen=True)
class Outcome:
    """sent · uncertain (answer unknown: collect, never send again) · panicked (on its own: collect) · refused (by
    EC2, the kill switch, Auto Scaling, or because the instance answers again) · claim-refused.
    """

    kind: Literal["sent", "uncertain", "panicked", "refused", "claim-refused"]
    reason: str
    detail: str
    epoch: int


@contextmanager
def prepared_meanwhile() -> Iterator[None]:
    """Creates the clients of the way to the interrupt while its user waits, for the probe; it must create none itself.

    Creating them takes a small function most of a second, and a hang is mostly the first event of a process. What fails
    here fails again, and is heard, where the client is used.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="clients") as thread:
        thread.submit(_create_clients)
        yield


def _create_clients() -> None:
    for create in (
        *(clients.ec2_best_effort, clients.cloudwatch_best_effort, clients.s3_best_effort),
        *(clients.autoscaling, clients.ssm_short_retry, clients.ec2_without_retries),
    ):
        create()


def interrupt_once(
    incident: Incident,
    *,
    place: Place,
    table: IncidentTable,
    limits: InterruptLimits,
    clock: Callable[[], datetime],
    confirm: Callable[[], Obstacle | None],
) -> Outcome:
    """Claims, sends, records. A crash in between leaves the state `interrupting`, from which nobody sends again.

    `confirm` checks once more that the instance hangs, if Standby took long.
    """
    with EvidenceFirst(incident) as evidence:
        claimed_at = clock()
        refused = _claim(incident, place, table.name, limits, at=claimed_at)
        if refused is not None:
            return refused
        evidence.store()
        obstacle = _get_ready(incident, table, clock, confirm)
        kept = evidence.finish()
        # Read last, so that a switch turned off at any moment before the call still stops it.
        obstacle = obstacle or read_stop()
        outcome = _send(incident.instance_id, at=clock()) if obstacle is None else _stopped(obstacle, at=clock())
        _record(incident, outcome, kept, table, at=clock())
        if outcome.kind == "refused":
            _give_back(incident, place, table.name, limits, claimed_at)
    return outcome


def confirm_in_standby(before: Evidence, rules: Policy, gather_again: Callable[[], Gathered]) -> Obstacle | None:
    """Decides again, because the hang was confirmed minutes ago. What the claim itself changed is as before."""
    evidence = replace(
        gather_again().evidence,
        last_interrupt_epoch=before.last_interrupt_epoch,
        open_incident=before.open_incident,
        interrupts_in_window=before.interrupts_in_window,
        interrupts_in_zone=before.interrupts_in_zone,
        interrupts_in_group=before.interrupts_in_group,
    )
    decision = decide(evidence, rules)
    if decision.action == "interrupt":
        return None
    return Obstacle(decision.reason, f"It was judged again once it was in Standby. {decision.detail}")


def _claim(incident: Incident, place: Place, table: str, limits: InterruptLimits, *, at: datetime) -> Outcome | None:
    claimed = incident.model_copy(update={"timeline": [*incident.timeline, timeline_entry(at, "claimed")]})
    refusal = claim(table, claimed, place, limits=limits, now=at)
    if refusal is None:
        return None
    return Outcome("claim-refused", refusal, "The claim in the incident table was refused.", moment.epoch(at))


def _get_ready(
    incident: Incident,
    table: IncidentTable,
    clock: Callable[[], datetime],
    confirm: Callable[[], Obstacle | None],
) -> Obstacle | None:
    began = clock()
    obstacle = stand_by(incident, table=table, clock=clock)
    if obstacle is None and (clock() - began).total_seconds() > _RECHECK_AFTER_SECONDS:
        return confirm()
    return obstacle


def _give_back(incident: Incident, place: Place, table: str, limits: InterruptLimits, claimed_at: datetime) -> None:
    """Without it the cooldown holds off the next interrupt, which is safe."""
    try:
        give_back(table, incident, place, limits=limits, claimed_at=claimed_at)
    except (ClientError, BotoCoreError):
        logger.exception("The claim of the interrupt that was not sent stays")


def _record(incident: Incident, outcome: Outcome, kept: Kept, table: IncidentTable, *, at: datetime) -> None:
    logger.info("Diagnostic interrupt %s: %s", outcome.kind, outcome.detail, extra={LogField.OUTCOME: outcome.kind})
    count(Metric.INTERRUPTS, outcome=outcome.kind)
    fields: dict[str, object] = {"state": _STATES[outcome.kind].value}
    if outcome.kind == "refused":
        fields |= {"decision": "refuse", "reason": outcome.reason, "detail": outcome.detail}
        fields["verdict"] = verdict_of_refusal(outcome.reason).value
        fields |= index_fields()
    elif outcome.kind == "panicked":
        fields |= {"decision": "collect", "reason": outcome.reason, "detail": outcome.detail}
    else:
        fields["interruptedEpoch"] = outcome.epoch
    fields |= {"evidenceKeys": kept.keys, "evidenceProblems": kept.problems}
    entry = timeline_entry(at, f"interrupt-{outcome.kind}", outcome.detail)
    table.update(incident.incident_id, fields, timeline=[entry])


def _stopped(obstacle: Obstacle, *, at: datetime) -> Outcome:
    kind: Literal["panicked", "refused"] = "panicked" if obstacle.reason == PANICKED else "refused"
    return Outcome(kind, obstacle.reason, obstacle.detail, moment.epoch(at))


def verdict_of_refusal(reason: str) -> Verdict:
    """`unsupported` when neither a setting nor a later attempt could make the interrupt possible."""
    is_unsupported = reason in ("unsupported-hypervisor", "unsupported-architecture", "UnsupportedOperation")
    return Verdict.UNSUPPORTED if is_unsupported else Verdict.REFUSED


def _send(instance_id: str, *, at: datetime) -> Outcome:
    epoch = moment.epoch(at)
    try:
        clients.ec2_without_retries().send_diagnostic_interrupt(InstanceId=instance_id)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        detail = f"SendDiagnosticInterrupt to {instance_id}: {error}."
        if code in _DEFINITE_REFUSALS or code.startswith(_DEFINITE_REFUSAL_PREFIX):
            return Outcome("refused", code, detail, epoch)
        return Outcome("uncertain", code, detail, epoch)
    except BotoCoreError as error:
        return Outcome("uncertain", type(error).__name__, f"SendDiagnosticInterrupt to {instance_id}: {error}.", epoch)
    return Outcome("sent", "sent", f"EC2 accepted the diagnostic interrupt for {instance_id}.", epoch)
