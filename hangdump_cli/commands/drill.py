"""`hangdump drill INSTANCE`: crashes a throwaway twin of an instance, and tells whether its dump came home."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from hangdump_cli import executions, instances
from hangdump_cli import plan as planning
from hangdump_cli.command import Command, interruptible, timeout_option
from hangdump_cli.confirm import ask_for_instance
from hangdump_cli.drill_cost import DrillCost
from hangdump_cli.errors import CommandFailed, Exit, Refused
from hangdump_cli.executions import SUCCEEDED, Ended
from hangdump_cli.instances import Instance
from hangdump_cli.invocation import Invocation
from hangdump_cli.kill_switch import read_interrupts
from hangdump_cli.text import Block, Fields, Table
from lambdas.runtime import errors
from lambdas.runtime.stack_parameter import Output
from lambdas.runtime.tags import DRILL_TAG, MAKER_TAG, which_profiles

# lambdas.drill.request has them with pydantic; a test compares.
HANGS = ("real-time", "cpus-spinning", "file-system", "panic")
_ON = "on"
# What DrillDump refuses before it launches anything.
_REFUSALS = {
    each.__name__
    for each in (
        errors.DrillsOff,
        errors.DrillInProgress,
        errors.DrillLimitReached,
        errors.DrillOfTwin,
        errors.InvalidInput,
    )
}


@dataclass(frozen=True)
class DrillPlan:
    """What a drill will launch. `obstacle` names what would refuse it; "" if nothing is known."""

    instance: Instance
    hang: str
    volume_gib: int
    obstacle: str = ""
    next_step: str = ""

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {
            "isPossible": not self.obstacle,
            "instanceId": self.instance.instance_id,
            "name": self.instance.name,
            "hang": self.hang,
            "imageId": self.instance.image_id,
            "instanceType": self.instance.instance_type,
            "zone": self.instance.zone,
            "volumeGib": self.volume_gib,
            "obstacle": self.obstacle,
            "next": self.next_step,
        }


@click.command(cls=Command, short_help="Crash a twin of an instance, and prove its dump.")
@click.argument("instance")
@click.option("--hang", type=click.Choice(HANGS), default=HANGS[0], show_default=True, help="How the twin hangs.")
@click.option("--plan", "is_plan", is_flag=True, help="Show what would be launched; touch nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--no-wait", is_flag=True, help="Start it, and do not follow it.")
@click.option(
    "--hourly-usd",
    type=click.FloatRange(min=0),
    metavar="PRICE",
    help="What an hour of the instance type costs you: for the cost that is shown at the end.",
)
@timeout_option(120)
@click.pass_obj
@interruptible
def drill(  # noqa: PLR0913 - one for each option
    run: Invocation,
    *,
    instance: str,
    hang: str,
    is_plan: bool,
    yes: bool,
    no_wait: bool,
    hourly_usd: float | None,
    timeout: float,
) -> int:
    """Launch a twin of an instance, CRASH THE TWIN, and tell whether its vmcore came to the bucket.

    DrillDump launches an instance of the same image, type and subnet, has it provisioned, hangs it and waits for the
    production chain: alarm, interrupt, dump, upload, report. Then it removes the twin. The instance itself is not
    touched. What the image starts by itself starts on the twin, too.
    """
    (found,) = instances.named(run.aws, [instance])
    plan = _plan(run, found, hang)
    if is_plan:
        run.output.answer("drill --plan", plan.as_json(), _plan_blocks(plan))
        return Exit.NOT_GOOD if plan.obstacle else Exit.OK
    if plan.obstacle:
        raise Refused(f"{instance} cannot be drilled; nothing was touched.", plan.next_step, name=plan.obstacle)
    if not yes:
        warning = "This launches a twin of it, whose services start as those of the instance, and crashes the twin."
        ask_for_instance(run, warning, found)
    machine = run.stack[Output.DRILL_DUMP]
    arn = executions.start(run.aws, machine, {"instanceId": instance, "hang": hang}, clock=run.clock)
    if no_wait:
        run.output.answer("drill", _json(instance, arn), [f"Started: {arn}"])
        return Exit.OK
    with run.output.progress(f"Drilling {instance}") as progress:
        ended = executions.follow(run.aws, arn, clock=run.clock, progress=progress, timeout_seconds=60 * timeout)
    if ended.status != SUCCEEDED:
        with executions.naming(f"The execution was {arn}"):
            raise _failure(ended)
    cost = DrillCost.of(ended.output, hourly_usd)
    run.output.answer("drill", _json(instance, arn, ended, cost), _blocks(ended.output, cost))
    return Exit.OK


def _plan(run: Invocation, found: Instance, hang: str) -> DrillPlan:
    kind = instances.types(run.aws, [found])[found.instance_type]
    settings = run.stack.require_settings()
    volume_gib = planning.new_volume_gib(kind, settings, profile=found.profile)
    obstacle: type[errors.HangdumpError] | None = None
    next_step = ""
    if found.is_windows:
        obstacle = errors.UnsupportedPlatform
    elif DRILL_TAG in found.tags or MAKER_TAG in found.tags:
        obstacle = errors.DrillOfTwin
    elif kind.hypervisor not in ("nitro", "bare-metal"):
        obstacle = errors.UnsupportedHypervisor
    elif "x86_64" not in kind.architectures and hang != "panic":
        obstacle, next_step = errors.InvalidInput, "EC2 interrupts only x86_64: give --hang panic."
    elif not settings.has_profile(found.profile):
        obstacle, next_step = errors.InvalidInput, which_profiles(settings.profiles)
    elif settings.dry_run or read_interrupts(run.aws) != _ON:
        obstacle = errors.DrillsOff
    if obstacle is None:
        return DrillPlan(found, hang, volume_gib)
    return DrillPlan(found, hang, volume_gib, obstacle.__name__, next_step or obstacle.next_step)


def _failure(ended: Ended) -> CommandFailed:
    name = ended.error or ended.status
    known = getattr(errors, name, None)
    next_step = "See it in Step Functions."
    if isinstance(known, type) and issubclass(known, errors.HangdumpError):
        next_step = known.next_step
    return CommandFailed(
        ended.words or f"The execution ended as {ended.status}.",
        next_step,
        name=name,
        exit_code=Exit.REFUSED if name in _REFUSALS else Exit.NOT_GOOD,
    )


def _json(instance: str, arn: str, ended: Ended | None = None, cost: DrillCost | None = None) -> dict[str, Any]:
    return {
        "instanceId": instance,
        "executionArn": arn,
        "proof": dict(ended.output) if ended else None,
        "cost": cost.as_json() if cost else None,
    }


def _plan_blocks(plan: DrillPlan) -> list[Block]:
    facts = {
        "Imitates": f"{plan.instance.instance_id} {plan.instance.name}".strip(),
        "Twin": f"{plan.instance.instance_type} of {plan.instance.image_id} in {plan.instance.zone}",
        "Dump volume": f"{plan.volume_gib} GiB, for as long as the drill takes",
        "Hang": plan.hang,
        "Possible": f"no, {plan.obstacle}: {plan.next_step}" if plan.obstacle else "yes, as far as can be told",
    }
    return [Fields(facts), "Nothing was touched."]


def _blocks(proof: Mapping[str, Any], cost: DrillCost) -> list[Block]:
    facts = {
        "Proven": f"{proof['verdict']}: {proof['imageId']}, {proof['instanceType']}, kernel {proof['kernel']}",
        "Incident": f"hangdump incident {proof['incidentId']}",
        "vmcore": f"{proof['vmcoreBytes'] / 2**20:.1f} MiB",
        **cost.in_words(),
    }
    rows = [(phase, f"{seconds}") for phase, seconds in proof["seconds"].items()]
    return [Fields(facts), "", Table(("PHASE", "SECONDS"), rows), "The twin, its volume and its alarm are removed."]
