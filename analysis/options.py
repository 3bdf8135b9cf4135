"""The options for debuginfo, which several commands share."""

import argparse
from pathlib import Path

from analysis.debuginfo import Sources, run_step


def add_debuginfo_options(parser: argparse.ArgumentParser) -> None:
    """Adds --vmlinux, --debuginfo and --install-debuginfo."""
    parser.add_argument("--vmlinux", type=Path, metavar="FILE", help="the kernel's symbols")
    parser.add_argument("--debuginfo", type=Path, metavar="DIR", help="a directory with symbols of kernel and modules")
    parser.add_argument(
        "--install-debuginfo", action="store_true", help="install the distribution's packages when needed (as root)"
    )


def sources_of(options: argparse.Namespace) -> Sources:
    """The places that the parsed options name."""
    return Sources(
        vmlinux=options.vmlinux,
        directory=options.debuginfo,
        install=run_step if options.install_debuginfo else None,
    )
