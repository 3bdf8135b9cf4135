"""`hangdump uninstall`: retires every enrolled instance, then says what `make destroy` leaves, and how to remove it."""

from collections.abc import Mapping, Sequence

import click

from hangdump_cli import instances, retirements
from hangdump_cli.command import Command, interruptible, timeout_option
from hangdump_cli.confirm import ask
from hangdump_cli.errors import Exit
from hangdump_cli.instances import Instance, Volume
from hangdump_cli.invocation import Invocation
from hangdump_cli.retirements import Retirement
from hangdump_cli.text import Block, Table, short_name
from lambdas.runtime import errors
from lambdas.runtime.stack_parameter import Output
from lambdas.runtime.tags import MAKER_TAG


@click.command(cls=Command, short_help="Retire every instance; say what remains.")
@click.option("--plan", "is_plan", is_flag=True, help="Show what it will touch; touch nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@timeout_option(120)
@click.pass_obj
@interruptible
def uninstall(run: Invocation, *, is_plan: bool, yes: bool, timeout: float) -> int:
    """Take every enrolled instance out, as `hangdump retire` does, and go on after one that fails.

    It deletes no stack: `make destroy` does, after this. Then it lists what that leaves, each with the command that
    removes it. Safe to run again: it takes up the instances that are still enrolled.
    """
    with run.output.busy("Reading"):
        found = instances.enrolled(run.aws)
        volumes = _volumes(run)
    if is_plan:
        planned = [_planned_json(each, volumes) for each in found]
        content = {"instances": planned, "remains": _remains_json(run, volumes)}
        run.output.answer("uninstall --plan", content, _plan_blocks(run, found, volumes))
        return Exit.NOT_GOOD if any(_obstacle(each) for each in found) else Exit.OK
    results: list[Retirement] = []
    if found:
        if not yes:
            warning = f"This takes {len(found)} instances out: their hangs give no dump any more. See --plan."
            ask(run, warning, expected=str(len(found)), question="Type their number to go on")
        with run.output.progress("Retiring") as progress:
            started = retirements.start_all(run, found, progress)
            results = retirements.follow_all(run, started, progress, timeout_seconds=60 * timeout)
    volumes = _volumes(run)
    content = {"instances": [each.as_json() for each in results], "remains": _remains_json(run, volumes)}
    run.output.answer("uninstall", content, _blocks(run, results, volumes))
    return retirements.exit_code(results, is_waited_for=True)


def _volumes(run: Invocation) -> dict[str, list[Volume]]:
    """The dump volumes by instance, parked ones too."""
    attached, parked = instances.dump_volumes(run.aws), instances.parked_volumes(run.aws)
    return {owner: [*attached.get(owner, []), *parked.get(owner, [])] for owner in {**attached, **parked}}


def _obstacle(each: Instance) -> type[errors.HangdumpError] | None:
    """What RetireInstance will refuse, as far as EC2 and Systems Manager tell."""
    if each.state != "running":
        return errors.InstanceNotRunning
    return None if each.ping == "Online" else errors.InstanceNotManaged


def _planned_json(each: Instance, volumes: Mapping[str, Sequence[Volume]]) -> dict[str, object]:
    obstacle = _obstacle(each)
    return {
        "instanceId": each.instance_id,
        "name": each.name,
        "state": each.state,
        "volumes": [one.volume_id for one in volumes.get(each.instance_id, [])],
        "obstacle": obstacle.__name__ if obstacle else "",
        "next": obstacle.next_step if obstacle else "",
    }


def _plan_blocks(run: Invocation, found: Sequence[Instance], volumes: Mapping[str, Sequence[Volume]]) -> list[Block]:
    rows = [
        (
            each.instance_id,
            short_name(each.name),
            each.state,
            ", ".join(str(one) for one in volumes.get(each.instance_id, [])) or "none",
            f"{obstacle.__name__}: {obstacle.next_step}" if (obstacle := _obstacle(each)) else "ok",
        )
        for each in found
    ]
    return [
        Table(("INSTANCE", "NAME", "STATE", "DUMP VOLUME", "POSSIBLE"), rows, empty="No instance is enrolled."),
        "Of each: its alarm, its ready tags, its kdump as the ledger on the host says, its dump volume if the host sees"
        " that it is empty, and last its tag hangdump:enrolled. Nothing was touched.",
        *_remains_blocks(run, volumes),
    ]


def _blocks(run: Invocation, results: Sequence[Retirement], volumes: Mapping[str, Sequence[Volume]]) -> list[Block]:
    rows = [
        (
            each.instance.instance_id,
            "retired" if each.is_retired else each.error.happened if each.error else "still running",
            each.error.next_step if each.error else "",
            "; ".join(f"{volume}: {reason}" for volume, reason in each.kept),
            str(len(each.left) or ""),
        )
        for each in results
    ]
    head = ("INSTANCE", "RESULT", "NEXT", "KEPT", "LEFT ON THE HOST")
    blocks: list[Block] = [Table(head, rows, empty="No instance is enrolled.")]
    if any(each.error for each in results):
        blocks.append("Run it again when the others are mended, before `make destroy`: afterwards nothing undoes them.")
    return [*blocks, *_remains_blocks(run, volumes)]


def _remains_blocks(run: Invocation, volumes: Mapping[str, Sequence[Volume]]) -> list[Block]:
    rows = [(each["what"], each["why"], each["command"]) for each in _remains_json(run, volumes)]
    return ["", "`make destroy` removes the stack. It leaves:", Table(("WHAT", "WHY", "REMOVED BY"), rows)]


def _remains_json(run: Invocation, volumes: Mapping[str, Sequence[Volume]]) -> list[dict[str, str]]:
    """What outlives the stack on purpose, and the command for each. docs/deploy.md has what else remains."""
    bucket = run.stack[Output.VMCORE_BUCKET]
    tables = [
        (run.stack[Output.INCIDENT_TABLE], "it holds the record of every incident"),
        (run.stack[Output.FLEET_TABLE], "it holds the settings that owners gave for their instances"),
    ]
    kept = [(each.volume_id, owner) for owner, of_one in sorted(volumes.items()) for each in of_one]
    return [
        {
            "what": f"bucket {bucket}, its access-log bucket and its key",
            "why": "it holds the vmcores",
            "command": f"empty it, all versions, in the S3 console; then: aws s3api delete-bucket --bucket {bucket}",
        },
        *(
            {"what": f"table {table}", "why": why, "command": f"aws dynamodb delete-table --table-name {table}"}
            for table, why in tables
        ),
        *(
            {
                "what": f"dump volume {volume} of {owner}",
                "why": "its instance waits for a volume of it"
                if volume.startswith("snap-")
                else "it can hold the only vmcore of a crash",
                "command": f"aws ec2 delete-snapshot --snapshot-id {volume}"
                if volume.startswith("snap-")
                else f"look at it, then: aws ec2 delete-volume --volume-id {volume}",
            }
            for volume, owner in kept
        ),
        {
            "what": f"snapshots and instances with the tag {MAKER_TAG}",
            "why": "if a rescue or an analysis runs",
            "command": f"aws ec2 describe-snapshots --owner-ids self --filters Name=tag-key,Values={MAKER_TAG}",
        },
    ]
