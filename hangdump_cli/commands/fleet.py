"""`hangdump fleet`: every enrolled instance, and why it is not ready."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from hangdump_cli import executions, incidents, instances
from hangdump_cli.command import Command, interruptible
from hangdump_cli.errors import Exit
from hangdump_cli.fleet_rows import read_rows, row_json, with_row
from hangdump_cli.instances import Instance, Volume
from hangdump_cli.invocation import Invocation
from hangdump_cli.readiness import Judge, Readiness
from hangdump_cli.text import Table, short_name
from lambdas.fleet.row import FleetRow
from lambdas.runtime.stack_parameter import Output

# Enough for the last incident of each instance in most fleets; `why` looks further.
_INCIDENTS = 200


@dataclass(frozen=True)
class Member:
    """One instance of the fleet."""

    instance: Instance
    readiness: Readiness
    volumes: Sequence[Volume]
    last_incident: str
    row: FleetRow | None = None

    @property
    def volume(self) -> str:
        """The attached one first."""
        return ", ".join(str(each) for each in sorted(self.volumes, key=lambda each: not each.attached_to))

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {
            "instanceId": self.instance.instance_id,
            "name": self.instance.name,
            "isReady": self.readiness.is_ready,
            "reason": self.readiness.code,
            "detail": self.readiness.words,
            "next": self.readiness.next_step,
            "kernel": self.instance.kernel,
            "volumes": [{"volumeId": each.volume_id, "sizeGib": each.size_gib} for each in self.volumes],
            "lastIncident": self.last_incident,
            "fleet": row_json(self.row),
        }


@click.command(cls=Command, short_help="Enrolled instances: ready, or why not.")
@click.option("--not-ready", is_flag=True, help="Only the instances that are not ready.")
@click.pass_obj
@interruptible
def fleet(run: Invocation, *, not_ready: bool) -> int:
    """List the enrolled instances: ready or why not, kernel, dump volume, last incident."""
    with run.output.busy("Reading"):
        members = read_fleet(run)
    shown = [each for each in members if not (not_ready and each.readiness.is_ready)]
    empty = "Every enrolled instance is ready." if members else "No instance is enrolled. Next: hangdump enrol INSTANCE"
    table = Table(("INSTANCE", "NAME", "READY", "KERNEL", "VOLUME", "LAST INCIDENT"), list(map(_row, shown)), empty)
    run.output.answer("fleet", {"instances": [each.as_json() for each in shown]}, [table])
    return Exit.OK if all(each.readiness.is_ready for each in members) else Exit.NOT_GOOD


def read_fleet(run: Invocation) -> list[Member]:
    """Everything about every enrolled instance."""
    aws, stack = run.aws, run.stack
    found = instances.enrolled(aws)
    judge = Judge(
        settings=stack.settings,
        now=run.clock.now(),
        alarms=instances.hang_alarms(aws),
        collections=executions.running(aws, stack[Output.COLLECT_VMCORE]),
    ).judge
    # The others do not depend on an execution.
    unclear = [each.instance_id for each in found if judge(each).code in ("never-provisioned", "agent-not-online")]
    provisionings = executions.last_of_each(aws, stack[Output.PROVISION_DUMP_VOLUME], unclear)
    volumes, parked = instances.dump_volumes(aws), instances.parked_volumes(aws)
    rows = read_rows(aws, stack)
    last: Mapping[str, str] = {
        each.instance_id: f"{each.opened_at:%Y-%m-%d} {each.verdict}"
        for each in reversed(incidents.newest(aws, stack, most=_INCIDENTS))
        if each.opened_at
    }
    return [
        Member(
            each,
            with_row(judge(each, provisionings), rows.get(each.instance_id)),
            [*volumes.get(each.instance_id, []), *parked.get(each.instance_id, [])],
            last.get(each.instance_id, ""),
            rows.get(each.instance_id),
        )
        for each in found
    ]


def _row(member: Member) -> tuple[object, ...]:
    words = member.readiness.words
    return (
        member.instance.instance_id,
        short_name(member.instance.name),
        words if member.readiness.is_ready else f"not ready: {words}",
        member.instance.kernel,
        member.volume,
        member.last_incident,
    )
