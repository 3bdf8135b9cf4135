"""`hangdump reboot`: reboots the instances whose kdump waits for it, in waves, until one does not come back ready."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from hangdump_cli import instances
from hangdump_cli.command import Command, interruptible, timeout_option
from hangdump_cli.commands.enrol import Enrolled, answer, follow_all, start_all
from hangdump_cli.confirm import ask
from hangdump_cli.errors import Exit, Refused
from hangdump_cli.fleet_rows import read_rows
from hangdump_cli.instances import Instance
from hangdump_cli.invocation import Invocation
from hangdump_cli.readiness import Readiness
from hangdump_cli.text import Table, short_name
from lambdas.fleet.row import Status

# As rebootsPerGroup and rebootsPerZone by default.
_PER_GROUP, _PER_ZONE = 1, 5
_NOT_REACHED = Readiness("not-reached", "not rebooted, as one before it is not ready", "hangdump why on that one")


@click.command(cls=Command, short_help="Reboot whoever waits for it, in waves.")
@click.argument("instance_ids", metavar="[INSTANCE...]", nargs=-1)
@click.option("--plan", "is_plan", is_flag=True, help="Show the waves; reboot nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@timeout_option(60)
@click.pass_obj
@interruptible
def reboot(run: Invocation, *, instance_ids: Sequence[str], is_plan: bool, yes: bool, timeout: float) -> int:
    """Reboot enrolled instances whose kdump needs memory that only a boot reserves; without INSTANCE all of them.

    ProvisionDumpVolume reboots them and checks that they are ready. A wave has at most one instance of an Auto Scaling
    group and five of a zone. If one of a wave does not become ready, the next wave is not begun.
    """
    with run.output.busy("Reading"):
        found = _wanted(run, instance_ids)
    waves = in_waves(found)
    if is_plan or not waves:
        _show(run, waves)
        return Exit.OK
    if not yes:
        names = ", ".join(each.name or each.instance_id for each in found[:10]) + (" …" if len(found) > 10 else "")
        warning = f"This reboots {len(found)} instances in {len(waves)} waves: {names}."
        ask(run, warning, expected=str(len(found)), question="Type their number to go on")
    results: list[Enrolled] = []
    with run.output.progress("Rebooting") as progress:
        for wave in waves:
            started = start_all(run, wave, {"reboot": True}, progress)
            results += follow_all(run, started, progress, timeout_seconds=60 * timeout)
            if not all(each.readiness.is_ready for each in results):
                break
    done = {each.instance_id for each in results}
    left = [Enrolled(each.instance_id, "", None, _NOT_REACHED) for each in found if each.instance_id not in done]
    answer(run, "reboot", [*results, *left])
    return Exit.OK if all(each.readiness.is_ready for each in [*results, *left]) else Exit.NOT_GOOD


def _wanted(run: Invocation, instance_ids: Sequence[str]) -> list[Instance]:
    """Those that are named, or those that the fleet table says wait for a reboot. Raises Refused."""
    if not instance_ids:
        waiting = {name for name, row in read_rows(run.aws, run.stack).items() if row.status is Status.REBOOT_REQUIRED}
        return [each for each in instances.enrolled(run.aws) if each.instance_id in waiting]
    found = instances.named(run.aws, instance_ids)
    for each in found:
        if not each.is_enrolled:
            raise Refused(
                f"{each.instance_id} is not enrolled; nothing was rebooted.",
                f"Reboot it yourself, or make it ready: hangdump enrol --reboot {each.instance_id}",
                name="InstanceNotEnrolled",
            )
    return found


def in_waves(found: Sequence[Instance]) -> list[list[Instance]]:
    """In their order, each in the first wave that has room for its group and its zone."""
    waves: list[list[Instance]] = []
    for each in found:
        for wave in waves:
            groups, zones = Counter(other.group for other in wave), Counter(other.zone for other in wave)
            if zones[each.zone] < _PER_ZONE and (not each.group or groups[each.group] < _PER_GROUP):
                wave.append(each)
                break
        else:
            waves.append([each])
    return waves


def _show(run: Invocation, waves: Sequence[Sequence[Instance]]) -> None:
    rows = [
        (number, each.instance_id, short_name(each.name), each.zone, each.group)
        for number, wave in enumerate(waves, start=1)
        for each in wave
    ]
    as_json: list[dict[str, Any]] = [
        {"wave": wave, "instanceId": instance_id, "name": name, "zone": zone, "group": group}
        for wave, instance_id, name, zone, group in rows
    ]
    table = Table(("WAVE", "INSTANCE", "NAME", "ZONE", "GROUP"), rows, "No instance waits for a reboot.")
    run.output.answer("reboot --plan", {"instances": as_json}, [table])
