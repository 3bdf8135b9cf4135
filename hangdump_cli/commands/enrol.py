"""`hangdump enrol INSTANCE…`: makes instances ready for a crash dump, or tells what that would take."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from hangdump_cli import executions, instances
from hangdump_cli import plan as planning
from hangdump_cli.command import Command, interruptible
from hangdump_cli.commands.why import findings_block
from hangdump_cli.errors import Exit, Refused
from hangdump_cli.executions import SUCCEEDED, Ended
from hangdump_cli.instances import Instance
from hangdump_cli.invocation import Invocation
from hangdump_cli.output import Progress
from hangdump_cli.plan import Plan
from hangdump_cli.quotas import read_quotas
from hangdump_cli.readiness import Readiness, judge
from hangdump_cli.text import Block, Table
from lambdas.runtime.stack_parameter import Output
from lambdas.runtime.tags import ENROLLED_TAG


@dataclass(frozen=True)
class Enrolled:
    """How it ended for one instance. `execution` is None while it runs, or when it was never started."""

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
@click.option("--no-wait", is_flag=True, help="Start the executions, and do not follow them.")
@click.option("--timeout", type=click.FloatRange(min=0), default=60, show_default=True, metavar="MINUTES")
@click.pass_obj
@interruptible
def enrol(
    run: Invocation, *, instance_ids: Sequence[str], is_plan: bool, reboot: bool, no_wait: bool, timeout: float
) -> int:
    """Tag instances hangdump:enrolled=true, and make them ready for a crash dump.

    The tag lets Hangdump crash them when they hang. ProvisionDumpVolume then creates a volume, configures kdump and
    checks it. Safe to run again: on a ready instance it changes nothing.
    """
    found = instances.named(run.aws, instance_ids)
    plan = _plan(run, found, is_reboot_wanted=reboot)
    if is_plan:
        run.output.answer("enrol --plan", _plan_json(plan), _plan_blocks(plan))
        return Exit.OK if plan.is_possible else Exit.NOT_GOOD
    _refuse_impossible(plan)
    machine = run.stack[Output.PROVISION_DUMP_VOLUME]
    _tag(run, [each.instance_id for each in found if not each.is_enrolled])
    more = {"reboot": True} if reboot else {}
    started = {
        each.instance_id: executions.start(run.aws, machine, {"instanceId": each.instance_id, **more}, clock=run.clock)
        for each in found
    }
    if no_wait:
        results = [Enrolled(each, arn, None, Readiness("provisioning", "started")) for each, arn in started.items()]
        _answer(run, results)
        return Exit.OK
    with run.output.progress("Enrolling") as progress:
        results = _follow_all(run, started, progress, timeout_seconds=60 * timeout)
    _answer(run, results)
    return Exit.OK if all(each.readiness.is_ready for each in results) else Exit.NOT_GOOD


def _plan(run: Invocation, found: Sequence[Instance], *, is_reboot_wanted: bool) -> Plan:
    settings = run.stack.require_settings()
    kinds = instances.types(run.aws, found)
    volumes = instances.dump_volumes(run.aws, [each.instance_id for each in found])
    enrolments = [
        planning.enrol(
            each,
            kinds[each.instance_type],
            volumes.get(each.instance_id, []),
            settings=settings,
            is_reboot_wanted=is_reboot_wanted,
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
        if quota.has_room(more) is False:
            raise Refused(
                f"The quota of {quota.name} is too small: {quota} are used, and {more:.2f} more are needed.",
                "Ask for more in Service Quotas, or enrol fewer instances.",
                name="QuotaTooSmall",
            )


def _tag(run: Invocation, instance_ids: Sequence[str]) -> None:
    if instance_ids:
        tags = [{"Key": ENROLLED_TAG, "Value": "true"}]
        run.aws.client("ec2").create_tags(Resources=list(instance_ids), Tags=tags)


def _follow_all(
    run: Invocation, started: dict[str, str], progress: Progress, *, timeout_seconds: float
) -> list[Enrolled]:
    """They run side by side; each is waited for in turn."""
    deadline = run.clock.now().timestamp() + timeout_seconds
    results = []
    for number, (instance_id, arn) in enumerate(started.items(), start=1):
        which = f"{instance_id} ({number} of {len(started)})" if len(started) > 1 else instance_id
        named = Progress(lambda text, which=which: progress.step(f"{which}: {text}"))
        left = max(0.0, deadline - run.clock.now().timestamp())
        ended = executions.follow(run.aws, arn, clock=run.clock, progress=named, timeout_seconds=left)
        (now,) = instances.named(run.aws, [instance_id])
        readiness = judge(now, ended)
        if ended.status != SUCCEEDED:
            # A mark from before says less than this failure.
            readiness = _failure(now, ended)
        results.append(Enrolled(instance_id, arn, ended, readiness))
    return results


def _failure(now: Instance, ended: Ended) -> Readiness:
    unmarked = Instance(**{**vars(now), "state": "running", "ping": "Online", "tags": {ENROLLED_TAG: "true"}})
    return judge(unmarked, ended)


def _answer(run: Invocation, results: Sequence[Enrolled]) -> None:
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
    run.output.answer("enrol", {"instances": [each.as_json() for each in results]}, blocks)


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
            each.instance.name,
            each.volume,
            "-" if each.obstacle else each.reboot,
            f"{each.monthly_usd:.2f}",
            f"{each.obstacle}: {each.next_step}" if each.obstacle else "ok",
        )
        for each in plan.enrolments
    ]
    quotas = [
        (quota.name, str(quota), f"{more:.3f}" if more % 1 else f"{more:.0f}", _room(quota.has_room(more)))
        for quota, more in plan.quotas
    ]
    return [
        Table(("INSTANCE", "NAME", "VOLUME", "REBOOT", "USD A MONTH", "POSSIBLE"), rows),
        f"Together {plan.monthly_usd:.2f} USD a month, at list prices of us-east-1. Nothing was touched.",
        "",
        Table(("QUOTA", "USED", "NEEDED", "ROOM"), quotas),
    ]


def _room(has_room: bool | None) -> str:
    return {True: "ok", False: "FAIL: ask for more in Service Quotas", None: "unknown"}[has_room]
