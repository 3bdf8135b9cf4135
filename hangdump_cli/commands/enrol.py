"""`hangdump enrol INSTANCE…`: makes instances ready for a crash dump, or tells what that would take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from hangdump_cli import executions, instances
from hangdump_cli import plan as planning
from hangdump_cli.command import Command, interruptible, timeout_option
from hangdump_cli.commands.why import findings_block
from hangdump_cli.confirm import ask
from hangdump_cli.errors import CommandFailed, Exit, Refused, explain
from hangdump_cli.executions import Ended
from hangdump_cli.instances import Instance
from hangdump_cli.invocation import Invocation
from hangdump_cli.output import Progress
from hangdump_cli.plan import Plan
from hangdump_cli.quotas import Quota, read_quotas
from hangdump_cli.readiness import Readiness, outcome
from hangdump_cli.text import Block, Table, short_name
from lambdas.runtime.stack_parameter import DumpVolumePlace, Output
from lambdas.runtime.tags import ENROLLED_TAG

# StartExecution allows more, but each execution reads and tags with the account's request rates.
_SECONDS_BETWEEN_STARTS = 0.5
_MOST_WITHOUT_A_QUESTION = 10
_STILL_RUNNING, _FAILED_TO_START = "still-running", "failed-to-start"


@dataclass(frozen=True)
class Enrolled:
    """How it ended for one instance. `execution` is None while it runs; `arn` is "" when it was not started."""

    instance_id: str
    arn: str
    execution: Ended | None
    readiness: Readiness

    @property
    def warnings(self) -> list[str]:
        """What is in the way of a dump of a ready instance."""
        output = self.execution.output if self.execution else {}
        rivals = [
            f"Your alarm {each} would act on {self.instance_id} first." for each in output.get("conflictingAlarms", [])
        ]
        # Asked for, and refused for a reason.
        attached = output.get("dumpVolume", {}).get("reason", "")
        rivals += [f"The dump volume of {self.instance_id} was not parked: {attached}"] if attached else []
        interrupt = output.get("diagnosticInterrupt", {})
        return [*rivals, *([interrupt["detail"]] if interrupt.get("status") == "unsupported" else [])]

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        found = self.execution.findings if self.execution else ()
        return {
            "instanceId": self.instance_id,
            "executionArn": self.arn,
            "isReady": self.readiness.is_ready,
            "reason": self.readiness.code,
            "detail": self.readiness.words,
            "next": self.readiness.next_step,
            "findings": [vars(each) for each in found],
            "warnings": self.warnings,
        }


@click.command(cls=Command, short_help="Make instances ready for a dump, or plan it.")
@click.argument("instance_ids", metavar="INSTANCE...", nargs=-1, required=True)
@click.option("--plan", "is_plan", is_flag=True, help="Show volumes, cost, reboots and quotas; touch nothing.")
@click.option("--reboot", is_flag=True, help="Reboot an instance if kdump needs memory that only a boot reserves.")
@click.option(
    "--dump-volume",
    type=click.Choice(["attached", "parked"]),
    help="Parked: between dumps there is only a snapshot. Remembered; without it the stack's setting holds.",
)
@click.option("--no-wait", is_flag=True, help="Start the executions, and do not follow them.")
@click.option("--yes", is_flag=True, help=f"Do not ask, as for more than {_MOST_WITHOUT_A_QUESTION} instances.")
@timeout_option(60)
@click.pass_obj
@interruptible
def enrol(  # noqa: PLR0913 - one for each option
    run: Invocation,
    *,
    instance_ids: Sequence[str],
    is_plan: bool,
    reboot: bool,
    dump_volume: DumpVolumePlace | None,
    no_wait: bool,
    yes: bool,
    timeout: float,
) -> int:
    """Tag instances hangdump:enrolled=true, and make them ready for a crash dump.

    The tag lets Hangdump crash them when they hang. ProvisionDumpVolume then creates a volume, configures kdump and
    checks it. Safe to run again: on a ready instance it changes nothing.
    """
    with run.output.busy("Reading"):
        found = instances.named(run.aws, instance_ids)
        plan = _plan(run, found, is_reboot_wanted=reboot, dump_volume=dump_volume)
    if is_plan:
        run.output.answer("enrol --plan", _plan_json(plan), _plan_blocks(plan))
        return Exit.OK if plan.is_possible else Exit.NOT_GOOD
    _refuse_impossible(plan)
    if len(found) > _MOST_WITHOUT_A_QUESTION and not yes:
        warning = f"This lets Hangdump crash {len(found)} instances when they hang, and configures kdump on each."
        ask(run, warning, expected=str(len(found)), question="Type their number to go on")
    _tag(run, [each.instance_id for each in found if not each.is_enrolled])
    with run.output.progress("Enrolling") as progress:
        given = {**({"reboot": True} if reboot else {}), **({"dumpVolume": dump_volume} if dump_volume else {})}
        results = start_all(run, found, given, progress)
        if not no_wait:
            results = follow_all(run, results, progress, timeout_seconds=60 * timeout)
    answer(run, "enrol", results)
    return _exit(results, is_waited_for=not no_wait)


def _exit(results: Sequence[Enrolled], *, is_waited_for: bool) -> Exit:
    codes = {each.readiness.code for each in results if not each.readiness.is_ready}
    if not is_waited_for:
        codes.discard(_STILL_RUNNING)
    if not codes:
        return Exit.OK
    return Exit.OUT_OF_TIME if codes == {_STILL_RUNNING} else Exit.NOT_GOOD


def _plan(
    run: Invocation, found: Sequence[Instance], *, is_reboot_wanted: bool, dump_volume: DumpVolumePlace | None
) -> Plan:
    settings = run.stack.require_settings()
    kinds = instances.types(run.aws, found)
    ids = [each.instance_id for each in found]
    volumes, parked = instances.dump_volumes(run.aws, ids), instances.parked_volumes(run.aws, ids)
    enrolments = [
        planning.enrol(
            each,
            kinds[each.instance_type],
            [*volumes.get(each.instance_id, []), *parked.get(each.instance_id, [])],
            settings=settings,
            is_reboot_wanted=is_reboot_wanted,
            dump_volume=dump_volume,
        )
        for each in found
    ]
    return planning.plan(enrolments, read_quotas(run.aws))


def _refuse_impossible(plan: Plan) -> None:
    """Before anything is touched."""
    for each in plan.enrolments:
        if each.obstacle:
            raise Refused(
                f"{each.instance.instance_id} cannot be enrolled; nothing was touched.",
                each.next_step,
                name=each.obstacle,
            )
    for quota, more in plan.quotas:
        if quota.stops(more):
            raise Refused(
                f"The quota of {quota.name} is too small: {quota} are used, and {more:.2f} more are needed.",
                "Ask for more in Service Quotas, or enrol fewer instances.",
                name="QuotaTooSmall",
            )


def _tag(run: Invocation, instance_ids: Sequence[str]) -> None:
    tags = [{"Key": ENROLLED_TAG, "Value": "true"}]
    for chunk in instances.chunks(instance_ids):
        run.aws.client("ec2").create_tags(Resources=chunk, Tags=tags)


def start_all(
    run: Invocation, found: Sequence[Instance], more: Mapping[str, Any], progress: Progress
) -> list[Enrolled]:
    """Starts ProvisionDumpVolume for each. Raises the error of the first when none starts."""
    machine = run.stack[Output.PROVISION_DUMP_VOLUME]
    results: list[Enrolled] = []
    errors: list[CommandFailed] = []
    with executions.naming_all(lambda: [each.arn for each in results if each.arn]):
        for number, each in enumerate(found, start=1):
            if number > 1:
                progress.step(f"starting {number} of {len(found)}")
                run.clock.sleep(_SECONDS_BETWEEN_STARTS)
            given = {"instanceId": each.instance_id, **more}
            try:
                arn = executions.start(run.aws, machine, given, clock=run.clock)
            except (ClientError, BotoCoreError) as error:
                known = explain(error)
                assert known is not None  # noqa: S101 - these two are always explained
                errors.append(known)
                readiness = Readiness(_FAILED_TO_START, known.happened, known.next_step)
                results.append(Enrolled(each.instance_id, "", None, readiness))
            else:
                results.append(_runs(each.instance_id, arn))
    if len(errors) == len(found):
        raise errors[0]
    return results


def _runs(instance_id: str, arn: str) -> Enrolled:
    readiness = Readiness(_STILL_RUNNING, f"started: {arn}", f"hangdump why {instance_id}, later")
    return Enrolled(instance_id, arn, None, readiness)


def follow_all(
    run: Invocation, started: Sequence[Enrolled], progress: Progress, *, timeout_seconds: float
) -> list[Enrolled]:
    """They run side by side; each is waited for in turn. What cannot be followed is told as still running."""
    deadline = run.clock.now().timestamp() + timeout_seconds
    results: list[Enrolled] = []
    with executions.naming_all(lambda: [each.arn for each in started[len(results) + 1 :] if each.arn]):
        for number, each in enumerate(started, start=1):
            which = f"{each.instance_id} ({number} of {len(started)})" if len(started) > 1 else each.instance_id
            named = Progress(lambda text, which=which: progress.step(f"{which}: {text}"))
            left = max(0.0, deadline - run.clock.now().timestamp())
            results.append(_follow(run, each, named, timeout_seconds=left) if each.arn else each)
    return results


def _follow(run: Invocation, each: Enrolled, progress: Progress, *, timeout_seconds: float) -> Enrolled:
    try:
        ended = executions.follow(
            run.aws, each.arn, clock=run.clock, progress=progress, timeout_seconds=timeout_seconds
        )
    except CommandFailed as error:
        return Enrolled(each.instance_id, each.arn, None, Readiness(_STILL_RUNNING, error.happened, error.next_step))
    # By its own outcome: a mark of before says less than a failure, and EC2 may not show the new one yet.
    return Enrolled(each.instance_id, each.arn, ended, outcome(ended, each.instance_id))


def answer(run: Invocation, command: str, results: Sequence[Enrolled]) -> None:
    """Says how it ended for each instance."""
    rows = [
        (each.instance_id, "ready" if each.readiness.is_ready else each.readiness.words, each.readiness.next_step)
        for each in results
    ]
    blocks: list[Block] = [Table(("INSTANCE", "RESULT", "NEXT"), rows)]
    for each in results:
        blocks += each.warnings
        findings = each.execution.findings if each.execution else ()
        if findings and not each.readiness.is_ready:
            blocks += ["", f"Findings on {each.instance_id}:", findings_block(findings)]
    run.output.answer(command, {"instances": [each.as_json() for each in results]}, blocks)


def _plan_json(plan: Plan) -> dict[str, Any]:
    return {
        "isPossible": plan.is_possible,
        "monthlyUsd": round(plan.monthly_usd, 2),
        "instances": [
            {
                "instanceId": each.instance.instance_id,
                "name": each.instance.name,
                "newVolumeGib": each.new_gib,
                "keepsVolume": each.kept.volume_id if each.kept else "",
                "reboot": each.reboot,
                "monthlyUsd": round(each.monthly_usd, 2),
                "obstacle": each.obstacle,
                "next": each.next_step,
            }
            for each in plan.enrolments
        ],
        "quotas": [
            {
                "name": quota.name,
                "used": quota.used,
                "limit": quota.limit,
                "needed": more,
                "hasRoom": quota.has_room(more),
            }
            for quota, more in plan.quotas
        ],
    }


def _plan_blocks(plan: Plan) -> list[Block]:
    rows = [
        (
            each.instance.instance_id,
            short_name(each.instance.name),
            each.volume,
            "-" if each.obstacle else each.reboot,
            f"{each.monthly_usd:.2f}",
            f"{each.obstacle}: {each.next_step}" if each.obstacle else "ok",
        )
        for each in plan.enrolments
    ]
    quotas = [
        (quota.name, str(quota), f"{more:.3f}" if more % 1 else f"{more:.0f}", _room(quota, more))
        for quota, more in plan.quotas
    ]
    return [
        Table(("INSTANCE", "NAME", "VOLUME", "REBOOT", "USD A MONTH", "POSSIBLE"), rows),
        f"Together {plan.monthly_usd:.2f} USD a month, at list prices of us-east-1,"
        " without extra IOPS and throughput. Nothing was touched.",
        "",
        Table(("QUOTA", "USED", "NEEDED", "ROOM"), quotas),
    ]


def _room(quota: Quota, more: float) -> str:
    if quota.has_room(more) is False and not quota.is_certain:
        return "perhaps not: see Service Quotas"
    return {True: "ok", False: "FAIL: ask for more in Service Quotas", None: "unknown"}[quota.has_room(more)]
