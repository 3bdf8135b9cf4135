"""Finds resources left behind and incidents that never ended, reports them, and removes what is surely ours and empty.

The order is: search, judge, act, report. A second run removes nothing more and reports the same about the rest.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.runtime import moment
from lambdas.runtime.environment import SweepPolicy
from lambdas.runtime.observability import entry_point, logger
from lambdas.runtime.telemetry_names import LogField
from lambdas.sweep.act import act, renew_readiness
from lambdas.sweep.case import Action, Finding, Policy
from lambdas.sweep.judge import judge
from lambdas.sweep.report import Outcome, Sweep, emit_metrics, notify, readiness_of_fleet, write
from lambdas.sweep.search import Search
from lambdas.sweep.time_left import TimeLeft


@entry_point
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Ignores the event, gives `{"findings","acted","failures","unseen","report"}`."""
    now = moment.now()
    settings = SweepPolicy.read()
    time_left = TimeLeft(context.get_remaining_time_in_millis)
    policy = Policy(
        unmarks=settings.sweep_unmarks,
        collects=settings.sweep_collects,
        orphan_rescues=settings.rescues_at_a_time,
        drills=settings.drills_at_a_time,
        drill_every=timedelta(days=settings.drill_every_days),
        interval=timedelta(hours=settings.sweep_interval_hours),
    )
    search = Search(time_left, now=now, policy=policy)
    found = search.everything()
    renew_readiness(found.checked, seen_at=now, time_left=time_left)
    findings = judge(found, now=now, policy=policy)
    outcomes = [_deal_with(finding, settings, at=now) for finding in findings]
    _log(outcomes)
    sweep = Sweep(now, outcomes, search.failures, time_left.unseen, readiness_of_fleet(found))
    problem = _write(sweep)
    emit_metrics(sweep)
    if sweep.is_worth_notifying or problem:
        notify(sweep, problem)
    acted = sum(1 for each in outcomes if each.is_done)
    logger.info("Found %d, acted on %d, %d searches failed", len(outcomes), acted, len(sweep.failures))
    return {
        "findings": len(outcomes),
        "acted": acted,
        "failures": list(sweep.failures),
        "unseen": list(sweep.unseen),
        "report": "" if problem else sweep.key,
    }


def _deal_with(finding: Finding, settings: SweepPolicy, *, at: Any) -> Outcome:
    is_removal = finding.action not in (Action.REPORT, Action.UNMARK, Action.COLLECT, Action.RESCUE, Action.DRILL)
    if finding.action is Action.REPORT or (is_removal and not settings.sweep_removes):
        return Outcome(finding, is_done=False)
    error = act(finding, now=at)
    return Outcome(finding, is_done=not error, error=error)


def _log(outcomes: Sequence[Outcome]) -> None:
    """Logs a line per finding, so that a query covers all sweeps: notification and report are of one sweep."""
    for each in outcomes:
        finding = each.finding
        fields = {LogField.FINDING: finding.kind, LogField.SUBJECT: finding.subject}
        fields |= {LogField.INCIDENT_ID: finding.incident_id, LogField.INSTANCE_ID: finding.instance_id}
        logger.info("Found: %s", finding.detail, extra={name: text for name, text in fields.items() if text})


def _write(sweep: Sweep) -> str:
    """Returns why the report could not be written, or "". The notification must go out all the same."""
    try:
        write(sweep)
    except (ClientError, BotoCoreError) as error:
        logger.warning("The report of the sweep could not be written: %s", error)
        return f"The report could not be written: {error}"
    return ""
