"""The command `hangdump` and its commands."""

import io
import sys
from typing import NoReturn

import click

from hangdump_cli.command import Group
from hangdump_cli.commands.doctor import doctor
from hangdump_cli.commands.drill import drill
from hangdump_cli.commands.dump import dump
from hangdump_cli.commands.enrol import enrol
from hangdump_cli.commands.fleet import fleet
from hangdump_cli.commands.incident import incident, incidents
from hangdump_cli.commands.interrupt import interrupt
from hangdump_cli.commands.interrupts import interrupts
from hangdump_cli.commands.reboot import reboot
from hangdump_cli.commands.retire import retire
from hangdump_cli.commands.status import status
from hangdump_cli.commands.uninstall import uninstall
from hangdump_cli.commands.why import why
from lambdas.runtime.stack_parameter import VERSION


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, and all is well; 1 something is not ready, or a verdict is bad; 2 wrong usage;"
    " 3 no stack, credentials or permission; 4 refused; 5 out of time, or AWS did not answer; 130 Ctrl-C.",
)
@click.version_option(VERSION, prog_name="hangdump")
def cli() -> None:
    """Turns a hung EC2 instance into an explained kernel crash dump.

    Works on the stack of one account and Region, with your own credentials. Start with `hangdump doctor`, then
    `hangdump enrol --plan INSTANCE`.
    """


_SEEING = (status, fleet, why, incidents, incident, dump, doctor)
for _each in (*_SEEING, enrol, drill, reboot, interrupt, interrupts, retire, uninstall):
    cli.add_command(_each)


def main() -> NoReturn:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows ASCII alone still shows a name.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    cli.main(prog_name="hangdump")
