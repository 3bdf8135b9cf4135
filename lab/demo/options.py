"""The demo's command line: its options, and a message for every wrong value before anything starts.

`make demo` runs this module before it installs anything, so it needs the standard library alone.
"""

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.command_line import UserError, run
from lab.demo.results import RESULTS
from lab.demo.variant import DUMP_VOLUMES, FILE_SYSTEMS, FINAL_ACTIONS, HARDENED, INSTANCE_TYPES, Variant
from lab.image.build import require_root
from lab.image.release import RELEASES

# What `make demo` takes: each is an option below. PYTHON is of every target.
_MAKE_VARIABLES = ("RELEASE", "FILE_SYSTEM", "FINAL_ACTION", "MEMORY_MIB", "HARDENED", "DUMP_VOLUME", "DRILL")
_OF_EVERY_TARGET = ("PYTHON",)


class UnknownVariable(UserError):
    """`make demo` was given a variable that it does not know."""


@dataclass(frozen=True)
class Options:
    """What was asked for. `results` is None for a folder of its own below RESULTS."""

    results: Path | None
    variant: Variant
    # Whether a drill is shown, on a second guest, in place of a hang of the first.
    is_drill: bool = False


def check_make_variables(names: Iterable[str]) -> None:
    """`names` are those of the command line. Raises UnknownVariable."""
    for name in names:
        if name not in _MAKE_VARIABLES + _OF_EVERY_TARGET:
            close = difflib.get_close_matches(name.upper(), _MAKE_VARIABLES, n=1)
            hint = f"Did you mean {close[0]}? " if close else ""
            raise UnknownVariable(f"make demo knows no variable {name}. {hint}It takes {', '.join(_MAKE_VARIABLES)}.")


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Ends the program with 2 and a message that names the option, its value and what is allowed."""
    default = Variant()
    parser = argparse.ArgumentParser(
        prog="python -m lab.demo",
        description="Hang a real Linux kernel in QEMU on an emulated AWS account, and bring its vmcore to the bucket. "
        f"Each run has a folder of its own below {RESULTS}/, to which {RESULTS}/latest points. Exits with 1 and a "
        "reason when a step does not hold.",
        epilog="With make: `make demo RELEASE=trixie FILE_SYSTEM=ext4 FINAL_ACTION=poweroff MEMORY_MIB=4096`. "
        "Root is needed once for each release, to install Debian packages and to build the guest's disk: "
        "`sudo make image RELEASE=trixie`.",
        allow_abbrev=False,
    )

    def choice(option: str, what: str, values: Sequence[str]) -> None:
        shown = getattr(default, option.replace("-", "_"))
        parser.add_argument(f"--{option}", choices=values, default=shown, help=f"{what} (default: {shown})")

    choice("release", "Debian release of the guest", RELEASES)
    choice("file-system", "of the dump volume", FILE_SYSTEMS)
    choice("final-action", "what the crash kernel ends with; after a poweroff it is started again", FINAL_ACTIONS)
    parser.add_argument(
        "--memory-mib",
        type=_memory_mib,
        default=default.memory_mib,
        metavar="{" + ",".join(map(str, INSTANCE_TYPES)) + "}",
        help=f"memory of the guest, and with it the instance type (default: {default.memory_mib})",
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        help="instead of the folder of its own: a new or empty one, or one of an earlier demo, which is replaced",
    )
    choice(
        "dump-volume", "between dumps: attached, or a snapshot of which the crash kernel gets a volume", DUMP_VOLUMES
    )
    choice("hardened", "give the guest hardening guides' sysctls, and huge pages, before it is enrolled", HARDENED)
    parser.add_argument(
        "--drill",
        choices=("0", "1"),
        default="0",
        help="1: hang no instance, but drill it: DrillDump launches a second guest as its twin, hangs that one, and "
        "proves its dump. Takes longer (default: 0)",
    )
    given = parser.parse_args(arguments)
    if given.drill == "1" and (given.hardened, given.final_action) != (default.hardened, default.final_action):
        # The twin boots the image, not the owner's host; and its power-off ends it for ever.
        parser.error("argument --drill: takes neither --hardened yes nor --final-action poweroff")
    variant = Variant(
        release=given.release,
        file_system=given.file_system,
        final_action=given.final_action,
        memory_mib=given.memory_mib,
        hardened=given.hardened,
        dump_volume=given.dump_volume,
    )
    return Options(given.results, variant, is_drill=given.drill == "1")


def _memory_mib(value: str) -> int:
    if value not in map(str, INSTANCE_TYPES):
        allowed = ", ".join(f"{memory} ({name})" for memory, name in INSTANCE_TYPES.items())
        raise argparse.ArgumentTypeError(f"{value!r} is the memory of no instance type here: choose from {allowed}")
    return int(value)


def check() -> None:
    """For `make demo`: the names of its variables in one argument, then the options that it made of them."""
    check_make_variables(sys.argv[1].split())
    require_root(parse(sys.argv[2:]).variant.release)


if __name__ == "__main__":
    sys.exit(run(check))
