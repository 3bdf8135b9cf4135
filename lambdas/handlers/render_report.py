"""Renders an incident's report again (after its analysis, or for a refusal), and the index of all incidents."""

import json
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from lambdas.incident.object_keys import INDEX_KEY
from lambdas.incident.record import Incident
from lambdas.incident.table import RecordToAmend
from lambdas.report.pages import IncidentPages
from lambdas.runtime import bucket as bucket_objects
from lambdas.runtime.environment import RecordKeeping, ReportPages
from lambdas.runtime.errors import InvalidInput
from lambdas.runtime.observability import entry_point, logger
from lambdas.triage import Triage

_LARGEST_BYTES = 16 * 1024**2


class RenderInput(BaseModel):
    """`{"incidentId"}`, or nothing for the index alone."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True)

    incident_id: str = ""


@entry_point
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Gives `{"keys": {"index", "report"?}}`; raises InvalidInput for an unknown incident."""
    try:
        given = RenderInput.model_validate(event)
    except ValidationError as error:
        raise InvalidInput(f"{error}", 'Give {"incidentId": "…"}, or {} for the index.') from error
    settings, table_name = ReportPages.read(), RecordKeeping.read().table_name
    pages = IncidentPages(settings, table_name)
    written = {"index": INDEX_KEY}
    own = None
    if given.incident_id:
        own, written["report"] = _render(
            given.incident_id, pages, settings, RecordToAmend(table_name, given.incident_id)
        )
    pages.write_index(region=context.invoked_function_arn.split(":")[3], own=own)
    return {"keys": written}


def _render(
    incident_id: str, pages: IncidentPages, settings: ReportPages, amended: RecordToAmend
) -> tuple[dict[str, Any], str]:
    record = amended.read()
    if record is None or not record.instance_id:
        raise InvalidInput(
            f"There is no incident {incident_id} of an instance.", "reports/index.html lists all incidents."
        )
    names = record.object_keys
    incident = _read(settings, names["incident"]) or _of_record(record, settings)
    # incident.json is missing when it could not be written. The record still names the vmcore then.
    incident["keys"] = {**record.keys, **incident.get("keys", {}), "report": names["report"]}
    triage = _read(settings, names["triage"])
    pages.write_report(names["report"], incident, Triage.model_validate(triage) if triage else None)
    # The index links the report from here. A concluded incident already has the key.
    amended.update({"keys": incident["keys"]})
    logger.info("Rendered %s", names["report"])
    return incident, names["report"]


def _read(settings: ReportPages, key: str) -> dict[str, Any] | None:
    text = bucket_objects.read(settings, key, longest_bytes=_LARGEST_BYTES)
    return dict(json.loads(text)) if text else None


def _of_record(record: Incident, settings: ReportPages) -> dict[str, Any]:
    """A refusal has no incident.json: this builds its fields from the record."""
    facts = record.as_json()
    reason = record.verdict_reason or f"{record.reason}. {record.detail or ''}".strip()
    facts |= {"bucket": settings.bucket_name, "decisionReason": record.reason or "", "reason": reason}
    return facts | {"keys": dict(record.evidence_keys)}
