"""The headline and the groups of the report, in lines for a terminal. Exists only in a checkout of the repository.

An analysis host has the package `analysis` alone: there this module cannot be imported, and nothing else needs it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from lambdas.report.analysis_model import read_analysis
from lambdas.report.processors import Blocked, Processors, draw_blocked, draw_processors
from lambdas.runtime.visible_text import visible_line
from lambdas.triage import triage

_MOST_GROUPS = 12


def summarize(analysis: Mapping[str, Any]) -> list[str]:
    """What the report says first, of analysis.json as an object. The headline is read from the log in the dump."""
    log = analysis.get("log")
    triaged = triage(log if isinstance(log, str) else "")
    analysed = read_analysis(analysis)
    lines = [triaged.sentence or triaged.panic_message or "The log in the dump shows no crash."]
    lines += _of_cpus(draw_processors(triaged, analysed))
    lines += _of_blocked_tasks(draw_blocked(triaged, analysed))
    # A task may be named by whoever wants a terminal to obey.
    return [visible_line(line) for line in lines]


def _of_cpus(processors: Processors) -> Iterator[str]:
    """The rarest stack first."""
    if processors.groups:
        yield f"CPUs: {processors.sentence}".rstrip()
    for group in processors.groups[:_MOST_GROUPS]:
        yield "  " + " · ".join(each for each in (group.title, group.doing or "no stack", group.task) if each)
    yield from _more(len(processors.groups))


def _of_blocked_tasks(blocked: Blocked) -> Iterator[str]:
    """The longest wait first."""
    if blocked.groups:
        yield f"Blocked tasks: {blocked.count}"
    for group in blocked.groups[:_MOST_GROUPS]:
        place = f"in {group.where}" if group.where else "no stack"
        waited = f"up to {group.waited}" if group.waited else ""
        yield "  " + " · ".join(each for each in (f"{group.count} {group.name}", place, waited) if each)
    yield from _more(len(blocked.groups))


def _more(count: int) -> Iterator[str]:
    if count > _MOST_GROUPS:
        yield f"  {count - _MOST_GROUPS} more groups"
