"""`hangdump status`: is the stack well, and how many instances are ready?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from hangdump_cli import executions, incidents, instances
from hangdump_cli.aws import Aws
from hangdump_cli.command import Command, interruptible
from hangdump_cli.errors import Exit
from hangdump_cli.executions import Run
from hangdump_cli.incidents import Incident
from hangdump_cli.invocation import Invocation
from hangdump_cli.kill_switch import read_interrupts
from hangdump_cli.readiness import Judge
from hangdump_cli.text import Block, Fields, Table, ago, moment_of
from lambdas.runtime.stack_parameter import Output
from lambdas.runtime.tags import STACK

_LAST_INCIDENTS = 5


@dataclass(frozen=True, kw_only=True)
class Status:
    """The answer."""

    stack: str
    version: str
    region: str
    interrupts: str
    is_dry_run: bool | None
    enrolled: int
    ready: int
    collections: Mapping[str, Run]
    # (name, since when)
    red_alarms: Sequence[tuple[str, datetime]]
    incidents: Sequence[Incident]

    @property
    def is_well(self) -> bool:
        """Whether nobody has to do anything."""
        return not self.red_alarms and self.ready == self.enrolled and self.interrupts == "on"

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {
            "stack": self.stack,
            "version": self.version,
            "region": self.region,
            "interrupts": self.interrupts,
            "isDryRun": self.is_dry_run,
            "enrolled": self.enrolled,
            "ready": self.ready,
            "collectionsRunning": len(self.collections),
            "collections": [
                {"instanceId": instance_id, "executionArn": each.arn, "since": each.started_at}
                for instance_id, each in self.collections.items()
            ],
            "redAlarms": [{"name": name, "since": since} for name, since in self.red_alarms],
            "incidents": [each.as_json() for each in self.incidents],
        }


@click.command(cls=Command, short_help="Stack, kill switch, red alarms, last incidents.")
@click.pass_obj
@interruptible
def status(run: Invocation) -> int:
    """Show the stack, its kill switch, its own alarms, and the last incidents."""
    with run.output.busy("Reading"):
        found = _read(run)
    run.output.answer("status", found.as_json(), _blocks(found, run.clock.now()))
    return Exit.OK if found.is_well else Exit.NOT_GOOD


def _read(run: Invocation) -> Status:
    aws, stack = run.aws, run.stack
    # A ping matters only to an instance without a mark, which is not ready anyway.
    fleet = instances.enrolled(aws, with_pings=False)
    collections = executions.running(aws, stack[Output.COLLECT_VMCORE])
    judge = Judge(
        settings=stack.settings,
        now=run.clock.now(),
        alarms=instances.hang_alarms(aws),
        collections=collections,
    ).judge
    return Status(
        stack=stack.name,
        version=stack.version,
        region=aws.region,
        interrupts=read_interrupts(aws),
        is_dry_run=stack.settings.dry_run if stack.settings else None,
        enrolled=len(fleet),
        # `fleet` says why the others are not.
        ready=sum(judge(each).is_ready for each in fleet),
        collections=collections,
        red_alarms=_red_alarms(aws),
        incidents=incidents.newest(aws, stack, most=_LAST_INCIDENTS),
    )


def _red_alarms(aws: Aws) -> list[tuple[str, datetime]]:
    """`Hangdump no sweep`, `Hangdump CollectVmcore failed`: not the hang alarms, `hangdump-i-…`."""
    pages = aws.pages("cloudwatch", "describe_alarms", AlarmNamePrefix=f"{STACK} ", AlarmTypes=["MetricAlarm"])
    alarms = [each for page in pages for each in page["MetricAlarms"] if each["StateValue"] == "ALARM"]
    return [(each["AlarmName"], each["StateUpdatedTimestamp"]) for each in alarms]


def _blocks(found: Status, now: datetime) -> list[Block]:
    interrupts = {"on": "on", "off": "off: nothing is interrupted"}.get(found.interrupts, found.interrupts)
    fields: Mapping[str, object] = {
        "Stack": f"{found.stack} {found.version}, {found.region}",
        "Interrupts": f"{interrupts}, but dryRun: none is sent" if found.is_dry_run else interrupts,
        "Instances": f"{found.ready} of {found.enrolled} enrolled are ready",
        "Collections": "; ".join(
            f"{instance_id} is being collected since {moment_of(each.started_at)}"
            for instance_id, each in found.collections.items()
        )
        or "none running",
        "Own alarms": "; ".join(f"{name}, {ago(since, now)}" for name, since in found.red_alarms) or "ok",
    }
    return [Fields(fields), "", incident_table(found.incidents)]


def incident_table(listed: Sequence[Incident], empty: str = "No incidents.") -> Table:
    """Newest first."""
    return Table(
        ("INCIDENT", "OPENED", "VERDICT", "CAUSE OR REASON"),
        [(each.incident_id, moment_of(each.opened_at), each.verdict or each.state, each.words) for each in listed],
        empty=empty,
    )
