"""`python -m lab.image [RELEASE]`: build the image unless it is there, and say where it is."""

import argparse
import sys

from analysis.command_line import run
from lab.image.build import ensure_image
from lab.image.release import DEFAULT_RELEASE, RELEASES


def main() -> None:
    """Needs the standard library alone: `make image` runs it beside the installation of all else."""
    parser = argparse.ArgumentParser(prog="python -m lab.image", description="Build a guest's disk, once per recipe.")
    parser.add_argument("release", nargs="?", choices=RELEASES, default=DEFAULT_RELEASE)
    print(ensure_image(release=parser.parse_args().release))


if __name__ == "__main__":
    sys.exit(run(main))
