"""`hangdump dump get ID` and `hangdump dump open ID`: brings a vmcore to this machine.

Neither of the stack's policies for the command line reads dumps: who needs one is granted that apart.
"""

from pathlib import Path

import click

from analysis.fetch_vmcore import download, find_vmcore, require_incident_id
from hangdump_cli.command import Command, global_options, interruptible
from hangdump_cli.errors import CommandFailed, Exit
from hangdump_cli.invocation import Invocation
from lambdas.runtime.stack_parameter import Output

_DIRECTORY = click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to make the directory ID; default here.",
)


@click.group(cls=click.Group, params=list(global_options()))
def dump() -> None:
    """Download a vmcore, or open it. It holds the memory of the instance."""


@dump.command(cls=Command)
@click.argument("incident_id", metavar="ID")
@_DIRECTORY
@click.pass_obj
@interruptible
def get(run: Invocation, *, incident_id: str, directory: Path | None) -> int:
    """Download the vmcore of an incident. A download that was cut goes on where it ended."""
    vmcore = _fetch(run, incident_id, directory)
    run.output.answer(
        "dump get",
        {"incidentId": incident_id, "path": str(vmcore), "sizeBytes": vmcore.stat().st_size},
        [f"{vmcore} ({vmcore.stat().st_size / 1024**2:.0f} MiB)", f"Open it: hangdump dump open {incident_id}"],
    )
    return Exit.OK


@dump.command("open", cls=Command, short_help="Download it, and open it in drgn or crash.")
@click.argument("incident_id", metavar="ID")
@_DIRECTORY
@click.option("--crash", is_flag=True, help="Open crash instead of drgn.")
@click.option("--vmlinux", type=click.Path(dir_okay=False, path_type=Path), help="The kernel's symbols.")
@click.option("--debuginfo", type=click.Path(file_okay=False, path_type=Path), help="A directory with symbols.")
@click.option("--install-debuginfo", is_flag=True, help="Install the distribution's packages when needed (as root).")
@click.pass_obj
@interruptible
def open_(  # noqa: PLR0913 - one for each option
    run: Invocation,
    *,
    incident_id: str,
    directory: Path | None,
    crash: bool,
    vmlinux: Path | None,
    debuginfo: Path | None,
    install_debuginfo: bool,
) -> int:
    """Download the vmcore and open it in drgn or crash, with the symbols of exactly its kernel."""
    try:
        # drgn is not among the ten packages: most who run hangdump open no dump.
        from analysis.debuginfo import Sources, run_step  # noqa: PLC0415
        from analysis.open_dump import open_dump  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CommandFailed(
            f"The Python module {error.name} is not installed.",
            "Run `pipx inject hangdump drgn`, or only download it: `hangdump dump get`.",
            name="DrgnMissing",
        ) from error
    sources = Sources(vmlinux=vmlinux, directory=debuginfo, install=run_step if install_debuginfo else None)
    return open_dump(_fetch(run, incident_id, directory), sources, is_crash=crash)


def _fetch(run: Invocation, incident_id: str, directory: Path | None) -> Path:
    require_incident_id(incident_id)
    stack = run.stack
    outputs = {name.value: stack[name] for name in (Output.INCIDENT_TABLE, Output.VMCORE_BUCKET)}
    stored = find_vmcore(incident_id, outputs, run.aws.client)
    with run.output.progress("Downloading") as progress:

        def say(text: str) -> None:
            if text.strip():
                progress.step(text.strip())

        return download(stored, (directory or Path.cwd()) / incident_id, run.aws.client, say=say)
