"""`hangdump retire INSTANCE`: takes an instance out."""

import json

import click

from hangdump_cli import instances
from hangdump_cli.command import Command, interruptible
from hangdump_cli.errors import CommandFailed, Exit
from hangdump_cli.invocation import Invocation
from lambdas.runtime.stack_parameter import Output
from lambdas.runtime.tags import ENROLLED_TAG


@click.command(cls=Command, short_help="Take an instance out.")
@click.argument("instance")
@click.option("--opt-out", is_flag=True, help=f"Also remove the owner's tag {ENROLLED_TAG}, so that it stays out.")
@click.pass_obj
@interruptible
def retire(run: Invocation, *, instance: str, opt_out: bool) -> int:
    """Remove the hang alarm and the ready tags of an instance. Its dump volume and its kdump stay."""
    instances.require_id(instance)
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
    volumes = result.get("volumes", [])
    kept = f"Kept: {', '.join(volumes)}. A dump volume can hold the only vmcore: delete it yourself." if volumes else ""
    stays = "" if opt_out else f"The tag {ENROLLED_TAG} is still there: --opt-out removes it."
    alarm = "Its alarm is deleted." if result.get("alarmDeleted") else "It had no alarm."
    run.output.answer(
        "retire",
        {
            "instanceId": instance,
            "isAlarmDeleted": bool(result.get("alarmDeleted")),
            "volumes": volumes,
            "isOptedOut": opt_out,
        },
        [line for line in (f"{instance} is retired. {alarm}", kept, stays) if line],
    )
    return Exit.OK
