"""`hangdump interrupt INSTANCE`: crashes a machine on request, and brings its vmcore to the bucket."""

from collections.abc import Sequence

import click

from hangdump_cli import executions, incidents, instances
from hangdump_cli.command import Command, interruptible, timeout_option
from hangdump_cli.commands.incident import incident_blocks, incident_json
from hangdump_cli.confirm import ask_for_instance
from hangdump_cli.errors import CommandFailed, Exit, Refused
from hangdump_cli.executions import SUCCEEDED, Ended
from hangdump_cli.incidents import REFUSALS, Incident
from hangdump_cli.instances import Instance
from hangdump_cli.invocation import Invocation
from hangdump_cli.kill_switch import read_interrupts
from hangdump_cli.text import Block
from lambdas.incident.object_keys import incident_id
from lambdas.runtime.errors import InstanceNotEnrolled
from lambdas.runtime.stack_parameter import Output


@click.command(cls=Command)
@click.argument("instance")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--no-wait", is_flag=True, help="Start it, and do not follow it.")
@timeout_option(120)
@click.pass_obj
@interruptible
def interrupt(run: Invocation, *, instance: str, yes: bool, no_wait: bool, timeout: float) -> int:
    """CRASH A RUNNING MACHINE to get its vmcore.

    CollectVmcore sends one diagnostic interrupt: the kernel panics at once, writes its memory to the dump volume and
    reboots. All rules apply but the proof of a hang, the probe, muted alarms, maintenance windows and the tag
    hangdump:disarmed: you vouch for the hang.
    """
    (found,) = instances.named(run.aws, [instance])
    if not found.is_enrolled:
        raise Refused(f"{instance} is not enrolled.", InstanceNotEnrolled.next_step, name=InstanceNotEnrolled.__name__)
    if not yes:
        _confirm(run, found)
    arn = executions.start(
        run.aws, run.stack[Output.COLLECT_VMCORE], {"instanceId": instance, "interrupt": True}, clock=run.clock
    )
    if no_wait:
        _answer(run, instance, arn, None, [f"Started: {arn}", "Next: hangdump incidents"])
        return Exit.OK
    with run.output.progress(instance) as progress:
        ended = executions.follow(run.aws, arn, clock=run.clock, progress=progress, timeout_seconds=60 * timeout)
    with executions.naming(f"The execution was {arn}"):
        return _end(run, instance, ended)


def _confirm(run: Invocation, found: Instance) -> None:
    account = run.stack[Output.COLLECT_VMCORE].split(":")[4]
    is_dry_run = {None: "unknown", True: "true: no interrupt is sent", False: "false"}
    run.output.note(
        f"Account {account}, {run.aws.region}. Interrupts: {read_interrupts(run.aws)}."
        f" dryRun: {is_dry_run[run.stack.settings.dry_run if run.stack.settings else None]}."
    )
    warning = f"This CRASHES {found.instance_id}: its kernel panics at once; it is down for minutes."
    ask_for_instance(run, warning, found)


def _end(run: Invocation, instance: str, ended: Ended) -> int:
    """Shows the incident; raises when the execution ended without a record of its own."""
    found = incidents.read(run.aws, run.stack, incident_id(ended.started_at, instance))
    if found is None or found.execution_arn != ended.arn:
        raise CommandFailed(
            ended.cause or f"The execution ended as {ended.status}.",
            "See it in Step Functions.",
            name=ended.error or "Failed",
        )
    blocks = incident_blocks(run, found)
    if not found.verdict:
        blocks.append(f"The execution ended as {ended.status}, without a verdict: {ended.arn}")
    _answer(run, instance, ended.arn, found, blocks)
    if found.verdict in REFUSALS:
        return Exit.REFUSED
    return Exit.OK if found.is_good and ended.status == SUCCEEDED else Exit.NOT_GOOD


def _answer(run: Invocation, instance: str, arn: str, found: Incident | None, blocks: Sequence[Block]) -> None:
    incident = incident_json(run, found) if found else None
    run.output.answer("interrupt", {"instanceId": instance, "executionArn": arn, "incident": incident}, blocks)
