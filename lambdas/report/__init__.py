"""Renders the report, one self-contained HTML page per incident, and those of all incidents and of the fleet. No I/O.

The pages have no script and no external asset; a Content-Security-Policy enforces that. Every value passes through
`visible` and autoescape, whatever the template does.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lambdas.fleet.row import FleetRow
from lambdas.incident.index_fields import IndexedIncident, SimilarIncident
from lambdas.report.fleet_page import compose_fleet
from lambdas.report.index_page import compose_index
from lambdas.report.page import Exhibits, compose
from lambdas.runtime import moment
from lambdas.runtime.visible_text import visible
from lambdas.triage.model import Triage

_TEMPLATES = Path(__file__).with_name("templates")


def render(
    incident: Mapping[str, Any],
    triage: Triage | None = None,
    analysis: Mapping[str, Any] | None = None,
    similar: Sequence[SimilarIncident] | None = None,
    *,
    exhibits: Exhibits | None = None,
) -> str:
    """Renders report.html from incident.json or a record; `similar` None: unknown."""
    page = compose(incident, triage, analysis, similar, exhibits=exhibits or Exhibits())
    return _environment().get_template("report.html").render(page=page, rendered=moment.iso(moment.now()))


def render_index(incidents: Sequence[IndexedIncident], *, bucket: str, region: str, is_cut: bool = False) -> str:
    """Renders reports/index.html; `is_cut`: there are older incidents."""
    index = compose_index(incidents, bucket=bucket, region=region, is_cut=is_cut)
    return _environment().get_template("index.html").render(index=index, rendered=moment.iso(moment.now()))


def render_fleet(rows: Iterable[FleetRow]) -> str:
    """Renders reports/fleet.html."""
    fleet = compose_fleet(rows)
    return _environment().get_template("fleet.html").render(fleet=fleet, rendered=moment.iso(moment.now()))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals["style"] = Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - ours
    return environment


def _finalize(value: Any) -> Any:
    """Makes every printed value visible, except the markup that a template made."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
