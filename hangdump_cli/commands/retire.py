"""`hangdump retire INSTANCE`: takes an instance out, and undoes what Hangdump did to it."""

import click

from hangdump_cli import executions, instances, retirements
from hangdump_cli.command import Command, interruptible, timeout_option
from hangdump_cli.confirm import ask_for_instance
from hangdump_cli.errors import Exit, Refused
from hangdump_cli.invocation import Invocation
from hangdump_cli.retirements import Retirement
from hangdump_cli.text import Block, Table, moment_of
from lambdas.runtime.stack_parameter import Output

_MIB = 2**20


@click.command(cls=Command, short_help="Take an instance out, and undo its kdump.")
@click.argument("instance")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--no-wait", is_flag=True, help="Start it, and do not follow it.")
@timeout_option(60)
@click.pass_obj
@interruptible
def retire(run: Invocation, *, instance: str, yes: bool, no_wait: bool, timeout: float) -> int:
    """Take an instance out: its alarm, its tags, its kdump and its empty dump volume.

    RetireInstance undoes on the host what configure_kdump recorded, but nothing that somebody else has changed since,
    and gives the reserved memory back without a reboot. It refuses while a dump could be lost. A volume that the host
    did not see empty stays.
    """
    (found,) = instances.named(run.aws, [instance])
    _refuse_while_it_is_worked_on(run, instance)
    if not yes:
        ask_for_instance(run, f"This takes {instance} out: a hang of it gives no dump any more.", found)
    with run.output.progress(f"Retiring {instance}") as progress:
        (started,) = retirements.start_all(run, [found], progress)
        if started.failure:
            raise started.failure
        if no_wait:
            run.output.answer("retire", started.as_json(), [f"Started: {started.arn}"])
            return Exit.OK
        (ended,) = retirements.follow_all(run, [started], progress, timeout_seconds=60 * timeout)
    if ended.error:
        with executions.naming(f"The execution was {ended.arn}"):
            raise ended.error
    run.output.answer("retire", ended.as_json(), retired_blocks(ended))
    return Exit.OK


def retired_blocks(each: Retirement) -> list[Block]:
    """What became of one instance."""
    said = each.as_json()
    memory = f" {said['bytesGivenBack'] // _MIB} MiB of memory are free again." if said["bytesGivenBack"] else ""
    own = " Its own kdump of before runs again." if said["kdump"] == "owner" else ""
    blocks: list[Block] = [f"{each.instance.instance_id} {each.instance.name} is retired.{memory}{own}"]
    if said["deletedVolume"]:
        blocks.append(f"Deleted the empty dump volume {said['deletedVolume']}.")
    blocks += [f"Kept: {volume}, because {reason}." for volume, reason in each.kept]
    if each.left:
        rows = [
            (one.get("file", ""), one.get("key", ""), one.get("found", ""), one.get("ours", "")) for one in each.left
        ]
        blocks += ["", "Left as it is, because somebody changed it since:"]
        blocks.append(Table(("FILE", "KEY", "FOUND", "HANGDUMP WROTE"), rows))
    return blocks


def _refuse_while_it_is_worked_on(run: Invocation, instance_id: str) -> None:
    """RetireInstance refuses it, too, but only after it has taken the alarm away."""
    works = {"collected": Output.COLLECT_VMCORE, "provisioned": Output.PROVISION_DUMP_VOLUME}
    for work, machine in works.items():
        if execution := executions.running(run.aws, run.stack[machine]).get(instance_id):
            raise Refused(
                f"{instance_id} is being {work} since {moment_of(execution.started_at)}: {execution.arn}",
                "Wait for its end, then retire it again.",
                name="ExecutionRunning",
            )
