"""`hangdump incidents` and `hangdump incident ID`: what happened."""

from datetime import datetime

import click

from hangdump_cli import incidents as records
from hangdump_cli.command import Command, interruptible
from hangdump_cli.commands.status import incident_table
from hangdump_cli.errors import Exit, NotFound
from hangdump_cli.incidents import Incident
from hangdump_cli.instances import require_id
from hangdump_cli.invocation import Invocation
from hangdump_cli.text import Block, Fields, Table, moment_of
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
    run.output.answer("incidents", {"incidents": [each.as_json() for each in listed]}, [incident_table(listed)])
    return Exit.OK


@click.command(cls=Command)
@click.argument("incident_id", metavar="ID")
@click.pass_obj
@interruptible
def incident(run: Invocation, *, incident_id: str) -> int:
    """Show one incident: verdict, cause, timeline, links. Ends with 1 if it brought no vmcore."""
    found = records.read(run.aws, run.stack, incident_id)
    if found is None:
        raise NotFound(
            f"There is no incident {incident_id} in {run.aws.region}.",
            "See `hangdump incidents`.",
            name="IncidentNotFound",
        )
    show(run, found)
    return Exit.NOT_GOOD if found.is_bad else Exit.OK


def show(run: Invocation, found: Incident) -> None:
    """Prints it."""
    links = found.links(run.stack[Output.VMCORE_BUCKET])
    content = {**found.as_json(), "next": found.next_step, "timeline": list(found.timeline), "links": links}
    run.output.answer("incident", content, _blocks(found, links))


def _blocks(found: Incident, links: dict[str, str]) -> list[Block]:
    facts = {
        "Incident": found.incident_id,
        "Instance": found.instance_id,
        "Opened": moment_of(found.opened_at),
        "Asked by": found.alarm_name or found.origin,
        "Verdict": found.verdict or f"none yet: {found.state}",
        "Cause": found.words,
        "Next": found.next_step,
        **links,
    }
    rows = [(_at(each), each.get("event", ""), each.get("detail", "")) for each in found.timeline]
    return [Fields(facts), "", Table(("AT (UTC)", "EVENT", "DETAIL"), rows, empty="No timeline.")]


def _at(entry: object) -> str:
    text = entry.get("at", "") if isinstance(entry, dict) else ""
    try:
        return f"{datetime.fromisoformat(text):%H:%M:%S}"
    except ValueError:
        return text
