"""Ends an incident: verdict, triage, report, incident.json, record, notification, metric. Every execution ends here.

Owns the order. It works with whatever the execution knows by then, also after bad input.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.conclude.compose import compose, opened_fields
from lambdas.conclude.decide_verdict import Conclusion, conclude
from lambdas.conclude.disarm import disarm, shows_no_hang
from lambdas.conclude.incident_objects import Observed, observe, triage_of, write_objects
from lambdas.conclude.notify import notify
from lambdas.incident.index_fields import index_fields
from lambdas.incident.record import SAFE_VERDICTS, Incident, State
from lambdas.incident.table import IncidentTable, create_incident
from lambdas.report.pages import IncidentPages
from lambdas.runtime import moment
from lambdas.runtime.environment import RecordKeeping, ReportPages
from lambdas.runtime.execution_input import INSTANCE_ID
from lambdas.runtime.observability import count, entry_point, logger, measure
from lambdas.runtime.telemetry_names import LogField, Metric
from lambdas.runtime.visible_text import one_line
from lambdas.triage import CrashClass, Triage

# The record may have 400 KB, and people read the notification.
_LONGEST_PROBLEM, _MOST_PROBLEMS = 500, 20


@entry_point
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes all that the execution has, gives `{"verdict","reason","incidentId","panicLine"?,"keys"}`."""
    records = IncidentTable(RecordKeeping.read().table_name)
    incident = _find(event, context, records)
    logger.append_keys(incident_id=incident.incident_id, instance_id=incident.instance_id)
    if _is_concluded_by_its_rescue(event, incident):
        return _as_recorded(incident)
    conclusion = conclude(event, incident)
    logger.info(
        *("Verdict: %s. %s", conclusion.verdict.value, conclusion.reason),
        extra={LogField.VERDICT: conclusion.verdict.value},
    )
    settings = ReportPages.read()
    pages = IncidentPages(settings, records.name)
    report = _make_report(event, incident, conclusion, bucket=settings, pages=pages)
    if _is_worth_recording(incident, conclusion):
        _record(event, incident, report, records, is_listed=not _is_quiet(incident, conclusion))
    if incident.notified_by != event["executionName"]:
        # A sweep lists the quiet ones in its report: they are many, and nobody has to do anything.
        is_quiet = _is_quiet(incident, conclusion)
        if not is_quiet:
            notify(report)
        _emit_metrics(report)
        fields = {"notifiedAt": moment.iso(moment.now()), "notifiedBy": event["executionName"]}
        records.update(incident.incident_id, fields)
        if not is_quiet:
            _write_index(pages, report, own=report if _is_worth_recording(incident, conclusion) else None)
    result = {name: report[name] for name in ("verdict", "reason", "incidentId", "keys")}
    return result | ({"panicLine": report["panicLine"]} if report.get("panicLine") else {})


def _find(event: dict[str, Any], context: LambdaContext, records: IncidentTable) -> Incident:
    """The incident that open_incident found, or one named after the execution when it found none (bad input)."""
    opened = event.get("incident")
    name = opened["incidentId"] if isinstance(opened, dict) and opened.get("incidentId") else event["executionName"]
    known = records.read(name)
    if known is not None:
        return known
    given = event.get("input")
    instance_id = given.get("instanceId") if isinstance(given, dict) else None
    _, _, _, region, account_id, *_ = context.invoked_function_arn.split(":")
    new = Incident(
        incident_id=name,
        # Only what is an instance id may become part of a key.
        instance_id=instance_id if isinstance(instance_id, str) and INSTANCE_ID.fullmatch(instance_id) else "",
        account_id=account_id,
        region=region,
        origin="manual",
        execution_name=event["executionName"],
        opened_at=moment.iso(moment.now()),
    )
    create_incident(records.name, new)
    return new


def _is_concluded_by_its_rescue(event: dict[str, Any], incident: Incident) -> bool:
    """The rescue that this execution waited for has concluded the incident and notified."""
    rescue = event.get("rescueEnd")
    return isinstance(rescue, dict) and incident.verdict is not None and incident.concluded_by == rescue.get("name")


def _as_recorded(incident: Incident) -> dict[str, Any]:
    known = {"verdict": incident.verdict, "reason": incident.verdict_reason, "incidentId": incident.incident_id}
    panic_line = {"panicLine": incident.panic_line} if incident.panic_line else {}
    return known | {"keys": incident.keys} | panic_line


def _make_report(
    event: dict[str, Any], incident: Incident, conclusion: Conclusion, *, bucket: ReportPages, pages: IncidentPages
) -> dict[str, Any]:
    """Read, triage, compose, write. Objects are written only where there is an instance to file them under."""
    opened = opened_fields(event)
    observed, triaged, problems = Observed(), Triage(), tuple(opened.get("problems", []))
    if incident.instance_id:
        observed = observe(bucket, incident, is_log_written=opened.get("isLogWritten") is True)
        triaged, failed = triage_of(observed, is_crash_expected=incident.is_crashed)
        problems += observed.problems + failed
    if shows_no_hang(incident, triaged, opened):
        conclusion = replace(conclusion, reason=f"{conclusion.reason} {disarm(incident)}")
    keys = incident.evidence_keys | dict(observed.keys)
    if isinstance(event.get("verified"), dict):
        keys["vmcore"] = incident.object_keys["vmcore"]
    report = compose(event, incident, conclusion, triage=triaged, now=moment.now())
    report |= {"bucket": bucket.bucket_name, "keys": keys}
    report["problems"] = [one_line(str(problem), _LONGEST_PROBLEM) for problem in problems[:_MOST_PROBLEMS]]
    if not incident.instance_id:
        return report
    is_recorded = _is_worth_recording(incident, conclusion)
    return write_objects(
        report,
        observed,
        triaged,
        names=incident.object_keys,
        bucket=bucket,
        pages=pages if is_recorded else None,
    )


def _write_index(pages: IncidentPages, report: Mapping[str, Any], own: Mapping[str, Any] | None) -> None:
    """Last, since all else is done: the next incident's end draws it again."""
    try:
        pages.write_index(region=report["region"], own=own)
    except Exception:
        logger.exception("reports/index.html is not up to date")


def _is_worth_recording(incident: Incident, conclusion: Conclusion) -> bool:
    """A later execution that finds no vmcore must not overwrite the verdict of one that is in the bucket."""
    return incident.verdict not in SAFE_VERDICTS or conclusion.verdict in SAFE_VERDICTS


def _is_quiet(incident: Incident, conclusion: Conclusion) -> bool:
    return incident.model_copy(update={"verdict": conclusion.verdict}).is_quiet


def _record(
    event: dict[str, Any], incident: Incident, report: Mapping[str, Any], records: IncidentTable, *, is_listed: bool
) -> None:
    fields = {
        "state": State.CONCLUDED.value,
        "verdict": report["verdict"],
        "verdictReason": report["reason"],
        "concludedAt": report["concludedAt"],
        "concludedBy": event["executionName"],
        "panicLine": report["panicLine"],
        "crashClass": report["crashClass"],
        "sentence": report["sentence"],
        "signature": report["signature"],
        "kernel": report["kernel"],
        "keys": report["keys"],
        "problems": report["problems"],
    }
    indexed = index_fields(report["signature"]) if is_listed else {}
    orphan = event.get("orphan")
    if isinstance(orphan, dict) and orphan.get("action") == "deleted":
        fields |= {"removedVolumeId": orphan["volumeId"], "removedVolumeAt": report["concludedAt"]}
    records.update(incident.incident_id, fields | indexed, timeline=[report["timeline"][-1]])


def _emit_metrics(report: Mapping[str, Any]) -> None:
    count(Metric.INCIDENTS, verdict=report["verdict"])
    if report["crashClass"] != CrashClass.UNKNOWN:
        count(Metric.CRASHES, crashClass=report["crashClass"])
    if "vmcore" in report["keys"]:
        measure(Metric.VMCORE_BYTES, report["vmcore"]["sizeBytes"], unit=MetricUnit.Bytes)
    logger.info("Took %d s", report["durations"]["totalSeconds"], extra={LogField.DURATIONS: report["durations"]})
    for name, seconds in report["durations"].items():
        # alarmToInterruptSeconds
        phase = name.removesuffix("Seconds")
        measure(Metric.PHASE_SECONDS, seconds, unit=MetricUnit.Seconds, phase=phase)
