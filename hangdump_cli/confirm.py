"""Asks before what cannot be undone, or concerns many machines."""

import click

from hangdump_cli.errors import CommandFailed, Exit, Refused
from hangdump_cli.instances import Instance
from hangdump_cli.invocation import Invocation


def ask(run: Invocation, warning: str, *, expected: str, question: str) -> None:
    """Raises Refused unless `expected` is typed. With --json nobody is asked: that is a wrong use without --yes."""
    if run.is_json:
        raise CommandFailed(
            "Nobody can be asked when the answer is JSON.", "Give --yes.", name="WrongUsage", exit_code=Exit.USAGE
        )
    run.output.note(warning)
    try:
        typed = click.prompt(question, default="", show_default=False, err=True)
    except click.Abort as error:
        if isinstance(error.__context__, EOFError):
            raise Refused("Nobody answered: nothing was started.", "Give --yes.", name="NotConfirmed") from error
        raise KeyboardInterrupt from error
    if typed.strip() != expected:
        raise Refused(f"What was typed is not {expected}: nothing was started.", "Run it again.", name="NotConfirmed")


def ask_for_instance(run: Invocation, warning: str, instance: Instance) -> None:
    """Shows which instance it is, so that a wrong id is seen."""
    name, group = instance.name or "without a name", f", group {instance.group}" if instance.group else ""
    run.output.note(
        f"{instance.instance_id}: {name}, {instance.state}, {instance.instance_type}, {instance.zone}{group}"
    )
    ask(run, warning, expected=instance.instance_id, question="Type the instance id to go on")
