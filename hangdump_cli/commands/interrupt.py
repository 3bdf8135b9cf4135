"""`hangdump interrupt INSTANCE`: crashes a machine on request, and brings its vmcore to the bucket."""

import click

from hangdump_cli import executions, incidents, instances
from hangdump_cli.command import Command, interruptible
from hangdump_cli.commands.incident import show
from hangdump_cli.errors import CommandFailed, Exit, Refused
from hangdump_cli.executions import Ended
from hangdump_cli.incidents import REFUSALS
from hangdump_cli.instances import Instance
from hangdump_cli.invocation import Invocation
from lambdas.incident.object_keys import incident_id
from lambdas.runtime.errors import InstanceNotEnrolled
from lambdas.runtime.stack_parameter import Output


@click.command(cls=Command)
@click.argument("instance")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--no-wait", is_flag=True, help="Start it, and do not follow it.")
@click.option("--timeout", type=click.FloatRange(min=0), default=120, show_default=True, metavar="MINUTES")
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
        run.output.answer(
            "interrupt", {"instanceId": instance, "executionArn": arn}, [f"Started: {arn}", "Next: hangdump incidents"]
        )
        return Exit.OK
    with run.output.progress(instance) as progress:
        ended = executions.follow(run.aws, arn, clock=run.clock, progress=progress, timeout_seconds=60 * timeout)
    return _end(run, instance, ended)


def _confirm(run: Invocation, found: Instance) -> None:
    if run.is_json:
        raise CommandFailed(
            "Nobody can be asked when the answer is JSON.", "Give --yes.", name="WrongUsage", exit_code=Exit.USAGE
        )
    run.output.note(
        f"This CRASHES {found.instance_id} {found.name}: its kernel panics at once; it is down for minutes."
    )
    try:
        typed = click.prompt("Type the instance id to go on", default="", show_default=False, err=True)
    except click.Abort as error:
        raise KeyboardInterrupt from error
    if typed.strip() != found.instance_id:
        raise Refused(
            "What was typed is not the instance id: nothing was started.", "Run it again.", name="NotConfirmed"
        )


def _end(run: Invocation, instance: str, ended: Ended) -> int:
    """Shows the incident; raises when the execution ended without a record."""
    found = incidents.read(run.aws, run.stack, incident_id(ended.started_at, instance))
    if found is None:
        raise CommandFailed(
            ended.cause or f"The execution ended as {ended.status}.", f"See {ended.arn}.", name=ended.error or "Failed"
        )
    show(run, found)
    if found.verdict in REFUSALS:
        return Exit.REFUSED
    return Exit.NOT_GOOD if found.is_bad else Exit.OK
