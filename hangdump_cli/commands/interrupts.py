"""`hangdump interrupts on|off`: the kill switch."""

import click

from hangdump_cli.command import Command, interruptible
from hangdump_cli.errors import Exit
from hangdump_cli.invocation import Invocation
from hangdump_cli.kill_switch import read_interrupts, switch

_MEANING = {
    "on": "Hung instances may be interrupted.",
    "off": "Nothing is interrupted, whoever asks. `hangdump interrupts on` allows it again.",
}


@click.command(cls=Command, short_help="The kill switch: on or off.")
@click.argument("value", type=click.Choice(["on", "off"]), required=False)
@click.pass_obj
@interruptible
def interrupts(run: Invocation, *, value: str | None) -> int:
    """Stop all interrupts of this account and Region at once, or allow them again. Without a value, show the switch."""
    # Not before it is known that a stack reads the switch.
    stack, before = run.stack, read_interrupts(run.aws)
    if value is not None and value != before:
        switch(run.aws, value)
    now = value or before
    content = {"stack": stack.name, "interrupts": now, "before": before}
    run.output.answer("interrupts", content, [f"Interrupts are {now}. {_MEANING.get(now, '')}".strip()])
    return Exit.OK
