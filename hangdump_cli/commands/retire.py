"""`hangdump retire INSTANCE`: takes an instance out."""

import json
from typing import Any

import click

from hangdump_cli import executions, instances
from hangdump_cli.command import Command, interruptible
from hangdump_cli.confirm import ask_for_instance
from hangdump_cli.errors import CommandFailed, Exit, Refused
from hangdump_cli.instances import Instance
from hangdump_cli.invocation import Invocation
from hangdump_cli.text import moment_of
from lambdas.runtime.stack_parameter import Output
from lambdas.runtime.tags import ENROLLED_TAG


@click.command(cls=Command, short_help="Take an instance out.")
@click.argument("instance")
@click.option("--opt-out", is_flag=True, help=f"Also remove the owner's tag {ENROLLED_TAG}, so that it stays out.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Even while it is being collected or provisioned.")
@click.pass_obj
@interruptible
def retire(run: Invocation, *, instance: str, opt_out: bool, yes: bool, force: bool) -> int:
    """Remove the hang alarm and the ready tags of an instance. Its dump volume and its kdump stay."""
    (found,) = instances.named(run.aws, [instance])
    if not force:
        _refuse_while_it_is_worked_on(run, instance)
    if not yes:
        ask_for_instance(run, f"This retires {instance}: no alarm interrupts it any more.", found)
    answer = run.aws.client("lambda").invoke(
        FunctionName=run.stack[Output.RETIRE_INSTANCE], Payload=json.dumps({"instanceId": instance}).encode()
    )
    result = json.loads(answer["Payload"].read() or b"{}")
    if answer.get("FunctionError"):
        raise CommandFailed(
            str(result.get("errorMessage", "The function failed.")),
            "See the logs of retire_instance.",
            name=str(result.get("errorType", "FunctionFailed")),
        )
    if opt_out:
        run.aws.client("ec2").delete_tags(Resources=[instance], Tags=[{"Key": ENROLLED_TAG}])
    _answer(run, found, result, is_opted_out=opt_out)
    return Exit.OK


def _refuse_while_it_is_worked_on(run: Invocation, instance_id: str) -> None:
    works = {"collected": Output.COLLECT_VMCORE, "provisioned": Output.PROVISION_DUMP_VOLUME}
    for work, machine in works.items():
        if execution := executions.running(run.aws, run.stack[machine]).get(instance_id):
            raise Refused(
                f"{instance_id} is being {work} since {moment_of(execution.started_at)}: {execution.arn}",
                "Wait for its end, or give --force.",
                name="ExecutionRunning",
            )


def _answer(run: Invocation, found: Instance, result: dict[str, Any], *, is_opted_out: bool) -> None:
    volumes = [str(each) for each in result.get("volumes") or []]
    kept = f"Kept: {', '.join(volumes)}. A dump volume can hold the only vmcore: delete it yourself." if volumes else ""
    stays = "" if is_opted_out else f"The tag {ENROLLED_TAG} is still there: --opt-out removes it."
    alarm = "Its alarm is deleted." if result.get("alarmDeleted") else "It had no alarm."
    run.output.answer(
        "retire",
        {
            "instanceId": found.instance_id,
            "name": found.name,
            "state": found.state,
            "isAlarmDeleted": bool(result.get("alarmDeleted")),
            "volumes": volumes,
            "isOptedOut": is_opted_out,
        },
        [line for line in (f"{found.instance_id} {found.name} is retired. {alarm}", kept, stays) if line],
    )
