"""`hangdump why INSTANCE`: everything that is known about one instance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from hangdump_cli import executions, incidents, instances, preview, proofs
from hangdump_cli.command import Command, interruptible
from hangdump_cli.errors import Exit
from hangdump_cli.executions import Ended, Finding, Run
from hangdump_cli.fleet_rows import overrides_words, read_one, row_json, row_words, with_row
from hangdump_cli.incidents import REFUSALS, Incident
from hangdump_cli.instances import Instance, Volume
from hangdump_cli.invocation import Invocation
from hangdump_cli.kill_switch import read_interrupts
from hangdump_cli.preview import LEFT_OPEN, ON_THE_CONSOLE, Obstacle
from hangdump_cli.proofs import Proof
from hangdump_cli.readiness import Judge, Readiness
from hangdump_cli.text import Advice, Block, Fields, Table, ago, moment_of
from lambdas.fleet.row import FleetRow
from lambdas.runtime.stack_parameter import Output

_LAST_INCIDENTS = 5
_OF_HANGDUMP = "hangdump:"


@dataclass(frozen=True, kw_only=True)
class Why:
    """The answer. `obstacles` is None for a stack whose settings are unknown."""

    instance: Instance
    readiness: Readiness
    volumes: Sequence[Volume]
    provisioning: Ended | None
    collection: Run | None
    obstacles: Sequence[Obstacle] | None
    depends_on_console: bool
    incidents: Sequence[Incident]
    row: FleetRow | None
    proof: Proof | None

    @property
    def proven(self) -> str:
        """Whether a drill has proven a dump with its image, kernel and settings; "" if these are unknown."""
        if self.proof:
            return f"a dump was proven with this image and kernel on {moment_of(self.proof.proven_at)}"
        if not proofs.can_be_known(self.instance, self.row):
            return ""
        return f"never proven: hangdump drill {self.instance.instance_id}"

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        findings = self.provisioning.findings if self.provisioning else ()
        return {
            "instanceId": self.instance.instance_id,
            "name": self.instance.name,
            "state": self.instance.state,
            "agent": {"status": self.instance.ping, "lastPingAt": self.instance.last_ping_at},
            "tags": {name: value for name, value in self.instance.tags.items() if name.startswith(_OF_HANGDUMP)},
            "isReady": self.readiness.is_ready,
            "reason": self.readiness.code,
            "detail": self.readiness.words,
            "next": self.readiness.next_step,
            "volumes": [{"volumeId": each.volume_id, "sizeGib": each.size_gib} for each in self.volumes],
            "provisioning": _provisioning(self.provisioning),
            "collection": {"executionArn": self.collection.arn, "since": self.collection.started_at}
            if self.collection
            else None,
            "findings": [vars(each) for each in findings],
            "dependsOnConsole": self.depends_on_console,
            "wouldRefuse": None
            if self.obstacles is None
            else [{"reason": each.reason, "detail": each.detail, "next": each.next_step} for each in self.obstacles],
            "incidents": [each.as_json() for each in self.incidents],
            "fleet": row_json(self.row),
            "proof": self.proof.as_json() if self.proof else None,
        }


@click.command(cls=Command, short_help="Everything about one instance.")
@click.argument("instance")
@click.pass_obj
@interruptible
def why(run: Invocation, *, instance: str) -> int:
    """Explain one instance: ready or why not, what would refuse an interrupt, and its last incidents."""
    with run.output.busy("Reading"):
        found = _read(run, instance)
    run.output.answer("why", found.as_json(), _blocks(found, run.clock.now()))
    return Exit.OK if found.readiness.is_ready else Exit.NOT_GOOD


def _read(run: Invocation, instance_id: str) -> Why:
    aws, stack = run.aws, run.stack
    (instance,) = instances.named(aws, [instance_id])
    machine = stack[Output.PROVISION_DUMP_VOLUME]
    provisionings = executions.last_of_each(aws, machine, [instance_id])
    collections = executions.running(aws, stack[Output.COLLECT_VMCORE])
    judge = Judge(
        settings=stack.settings,
        now=run.clock.now(),
        alarms=instances.hang_alarms(aws, instance_id),
        collections=collections,
    ).judge
    row = read_one(aws, stack, instance_id)
    kind = instances.types(aws, [instance]).get(instance.instance_type)
    return Why(
        instance=instance,
        readiness=with_row(judge(instance, provisionings), row),
        row=row,
        proof=proofs.read_proof(aws, stack, instance, row),
        volumes=[
            *instances.dump_volumes(aws, [instance_id]).get(instance_id, []),
            *instances.parked_volumes(aws, [instance_id]).get(instance_id, []),
        ],
        provisioning=provisionings.found.get(instance_id),
        collection=collections.get(instance_id),
        depends_on_console=stack.settings is not None and preview.depends_on_console(instance, stack.settings),
        obstacles=preview.obstacles(
            instance,
            kind,
            instances.checks(aws, instance_id),
            settings=stack.settings,
            interrupts=read_interrupts(aws),
            now=run.clock.now(),
            collection=collections.get(instance_id),
        )
        if stack.settings
        else None,
        incidents=incidents.newest(aws, stack, most=_LAST_INCIDENTS, instance_id=instance_id),
    )


def _provisioning(ended: Ended | None) -> dict[str, Any] | None:
    if ended is None:
        return None
    return {
        "executionArn": ended.arn,
        "startedAt": ended.started_at,
        "status": ended.status,
        "result": ended.output.get("status", ""),
        "error": ended.error,
        "cause": ended.words,
    }


def _blocks(found: Why, now: datetime) -> list[Block]:
    instance, readiness = found.instance, found.readiness
    ended = found.provisioning
    result = (ended.output.get("status") or ended.error or ended.status.lower()) if ended else "none found"
    facts = {
        "Instance": f"{instance.instance_id} {instance.name}".strip(),
        "State": f"{instance.state}, {instance.instance_type}, {instance.zone}",
        "Agent": f"{instance.ping or 'unknown to Systems Manager'}, last ping {ago(instance.last_ping_at, now)}"
        if instance.last_ping_at
        else instance.ping or "unknown to Systems Manager",
        "Group": instance.group,
        "Volume": ", ".join(map(str, found.volumes)) or "none",
        "Provisioned": f"{result}, {moment_of(ended.started_at)}" if ended else result,
        "Ready": readiness.words if readiness.is_ready else f"not ready: {readiness.words}",
        "Proven": found.proven,
        "Next": readiness.next_step,
        "Fleet": row_words(found.row),
        "Overrides": overrides_words(found.row),
        **{name: value for name, value in sorted(instance.tags.items()) if name.startswith(_OF_HANGDUMP)},
    }
    blocks: list[Block] = [Fields(facts)]
    if ended and ended.findings:
        blocks += ["", "Findings of the last provisioning:", findings_block(ended.findings)]
    blocks += ["", *_interrupt(found.obstacles)]
    if found.depends_on_console:
        blocks.append(ON_THE_CONSOLE)
    if found.incidents:
        rows = [
            (moment_of(each.opened_at), each.verdict, each.words, each.next_step if each.verdict in REFUSALS else "")
            for each in found.incidents
        ]
        blocks += ["", Table(("OPENED", "VERDICT", "CAUSE OR REASON", "NEXT"), rows)]
    else:
        blocks += ["", f"No incidents among the last {incidents.MOST_SEARCHED}."]
    return blocks


def _interrupt(obstacles: Sequence[Obstacle] | None) -> list[Block]:
    if obstacles is None:
        return ["Would an alarm interrupt it? Unknown: deploy the stack again, it is of an older version."]
    if not obstacles:
        return [f"Would an alarm interrupt it? Nothing known now refuses. Left to the hang: {LEFT_OPEN}."]
    items = [(each.reason, each.detail, each.next_step) for each in obstacles]
    return ["Would an alarm interrupt it? No:", Advice(items)]


def findings_block(findings: Sequence[Finding]) -> Advice:
    """Each finding of check_kdump with its remedy."""
    return Advice([(f"{each.severity} {each.code}", each.observed, each.remedy) for each in findings])
