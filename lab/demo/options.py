"""The demo's command line: its options, and a message for every wrong value before anything starts."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.demo.results import LATEST
from lab.demo.variant import FILE_SYSTEMS, FINAL_ACTIONS, INSTANCE_TYPES, Variant
from lab.image.release import RELEASES


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    results: Path
    variant: Variant


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Ends the program with 2 and a message that names the option, its value and what is allowed."""
    default = Variant()
    parser = argparse.ArgumentParser(
        prog="python -m lab.demo",
        description="Hang a real Linux kernel in QEMU on an emulated AWS account, and bring its vmcore to the bucket. "
        f"Leaves what it made in {LATEST}/. Exits with 1 and a reason when a step does not hold.",
        epilog="With make: `make demo RELEASE=trixie FILE_SYSTEM=ext4 FINAL_ACTION=poweroff MEMORY_MIB=4096`.",
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
    parser.add_argument("--results", type=Path, default=LATEST, metavar="DIR", help=f"default: {LATEST}")
    given = parser.parse_args(arguments)
    variant = Variant(
        release=given.release,
        file_system=given.file_system,
        final_action=given.final_action,
        memory_mib=given.memory_mib,
    )
    return Options(given.results, variant)


def _memory_mib(value: str) -> int:
    if value not in map(str, INSTANCE_TYPES):
        allowed = ", ".join(f"{memory} ({name})" for memory, name in INSTANCE_TYPES.items())
        raise argparse.ArgumentTypeError(f"{value!r} is the memory of no instance type here: choose from {allowed}")
    return int(value)
