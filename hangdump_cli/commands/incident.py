"""`hangdump incidents` and `hangdump incident ID`: what happened."""

from typing import Any

import click

from hangdump_cli import incidents as records
from hangdump_cli.command import Command, interruptible
from hangdump_cli.commands.status import incident_table
from hangdump_cli.errors import Exit, NotFound
from hangdump_cli.incidents import Incident
from hangdump_cli.instances import require_id
from hangdump_cli.invocation import Invocation
from hangdump_cli.text import Block, Fields, Table, moment_of
from lambdas.runtime import moment
from lambdas.runtime.stack_parameter import Output


@click.command(cls=Command)
@click.option("--instance", default="", metavar="INSTANCE", help="Only those of one instance.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="How many at most.")
@click.pass_obj
@interruptible
def incidents(run: Invocation, *, instance: str, limit: int) -> int:
    """List the newest incidents that have ended."""
    if instance:
        require_id(instance)
    listed = records.newest(run.aws, run.stack, most=limit, instance_id=instance)
    empty = f"No incidents of {instance} among the last {records.MOST_SEARCHED}." if instance else "No incidents."
    run.output.answer("incidents", {"incidents": [each.as_json() for each in listed]}, [incident_table(listed, empty)])
    return Exit.OK


@click.command(cls=Command)
@click.argument("incident_id", metavar="ID")
@click.pass_obj
@interruptible
def incident(run: Invocation, *, incident_id: str) -> int:
    """Show one incident: verdict, cause, timeline, links. Ends with 1 unless its vmcore is in the bucket."""
    found = records.read(run.aws, run.stack, incident_id)
    if found is None:
        raise NotFound(
            f"There is no incident {incident_id} in {run.aws.region}.",
            "See `hangdump incidents`.",
            name="IncidentNotFound",
        )
    run.output.answer("incident", incident_json(run, found), incident_blocks(run, found))
    return Exit.OK if found.is_good else Exit.NOT_GOOD


def incident_json(run: Invocation, found: Incident) -> dict[str, Any]:
    """For --json."""
    links = found.links(run.stack[Output.VMCORE_BUCKET])
    return {**found.as_json(), "next": found.next_step, "timeline": list(found.timeline), "links": links}


def incident_blocks(run: Invocation, found: Incident) -> list[Block]:
    """The whole incident as text."""
    facts = {
        "Incident": found.incident_id,
        "Instance": found.instance_id,
        "Opened": moment_of(found.opened_at),
        "Asked by": found.alarm_name or found.origin,
        "Verdict": found.verdict or f"none yet: {found.state}",
        "Cause": found.words,
        "Next": found.next_step,
        **found.links(run.stack[Output.VMCORE_BUCKET]),
    }
    rows = [(_at(each), each.get("event", ""), each.get("detail", "")) for each in found.timeline]
    return [Fields(facts), "", Table(("AT (UTC)", "EVENT", "DETAIL"), rows, empty="No timeline.")]


def _at(entry: object) -> str:
    text = entry.get("at", "") if isinstance(entry, dict) else ""
    try:
        return f"{moment.parse(text):%H:%M:%S}"
    except ValueError:
        return text
