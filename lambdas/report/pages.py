"""Writes an incident's report.html and the index of all: reads their data, renders, and stores the pages."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.incident.index import IncidentIndex, as_indexed, replaced
from lambdas.incident.index_fields import SimilarIncident
from lambdas.incident.object_keys import ANALYSIS, INDEX_KEY
from lambdas.report import render, render_index
from lambdas.report.page import Exhibits
from lambdas.runtime import bucket as bucket_objects
from lambdas.runtime import clients
from lambdas.runtime.environment import ReportPages
from lambdas.runtime.observability import logger
from lambdas.triage import Triage

_HTML = "text/html; charset=utf-8"
# EC2's console has 64 KiB; a page shows less than that of a log.
_TAIL_BYTES = 64 * 1024
_LARGEST_SCREENSHOT_BYTES = 2 * 1024**2
_LARGEST_ANALYSIS_BYTES = 16 * 1024**2


class IncidentPages:
    """The pages in one bucket. Data that cannot be read is left out; a page that cannot be written is an error."""

    def __init__(self, settings: ReportPages, table_name: str) -> None:
        self._settings = settings
        self._index = IncidentIndex(table_name)

    def write_report(self, key: str, incident: Mapping[str, Any], triage: Triage | None) -> None:
        """Writes the report from incident.json or a record, and from the incident's objects."""
        similar = self._similar(triage, str(incident.get("incidentId")))
        analysis = self._analysis(key.removesuffix("report.html") + ANALYSIS)
        page = render(incident, triage, analysis, similar, exhibits=self._exhibits(incident.get("keys") or {}))
        bucket_objects.write(self._settings, key, page, content_type=_HTML)

    def write_index(self, *, region: str, own: Mapping[str, Any] | None = None) -> None:
        """Writes the index from the table; `own` is an incident whose end the table's index may not show yet.

        The last writer wins. Each page is rendered from the table, so the next one repairs a page that lost a race.
        """
        listed = self._index.newest()
        incidents = replaced(listed.incidents, as_indexed(own)) if own else listed.incidents
        page = render_index(incidents, bucket=self._settings.bucket_name, region=region, is_cut=listed.is_cut)
        bucket_objects.write(self._settings, INDEX_KEY, page, content_type=_HTML)

    def _similar(self, triage: Triage | None, incident_id: str) -> list[SimilarIncident] | None:
        """None when the table cannot be read: "the first incident" would be a guess."""
        try:
            return self._index.similar(triage.signature if triage else "", but=incident_id)
        except (ClientError, BotoCoreError) as error:
            logger.warning("Similar incidents: %s", error)
            return None

    def _exhibits(self, keys: Mapping[str, str]) -> Exhibits:
        def tail(name: str, bytes_wanted: int = _TAIL_BYTES) -> bytes:
            return bucket_objects.read_tail(self._settings, keys.get(name, ""), bytes_wanted=bytes_wanted)

        return Exhibits(
            console=tail("consoleBefore").decode("utf-8", errors="replace"),
            screenshot=tail("screenshotBefore", _LARGEST_SCREENSHOT_BYTES),
            log=(tail("log") or tail("dmesg")).decode("utf-8", errors="replace"),
            retention_days=self._settings.vmcore_retention_days,
        )

    def _analysis(self, key: str) -> dict[str, Any] | None:
        """The analysis, or None if there is no readable one."""
        try:
            text = bucket_objects.read(self._settings, key, longest_bytes=_LARGEST_ANALYSIS_BYTES)
            read = json.loads(text) if text else None
        except (ClientError, BotoCoreError, ValueError) as error:
            logger.warning("%s: %s", key, error)
            return None
        return read if isinstance(read, dict) else None


def sign_link(*, bucket: str, key: str, hours: int) -> str:
    """A presigned GET; "" for 0 hours, or if signing fails."""
    if not hours:
        return ""
    try:
        return clients.s3_for_links().generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=hours * 3600
        )
    except BotoCoreError as error:
        # Log only the class: the message could hold the signed request.
        logger.warning("The link to the report could not be signed: %s", type(error).__name__)
        return ""
