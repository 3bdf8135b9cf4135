"""`python -m lab.image [RELEASE] [--architecture arm64]`: build the image unless it is there, and say where it is."""

import argparse
import sys

from analysis.command_line import run
from lab.image.build import ensure_image
from lab.image.release import ARCHITECTURES, DEFAULT_ARCHITECTURE, DEFAULT_RELEASE, RELEASES


def main() -> None:
    """Needs the standard library alone: `make image` runs it beside the installation of all else."""
    parser = argparse.ArgumentParser(prog="python -m lab.image", description="Build a guest's disk, once per recipe.")
    parser.add_argument("release", nargs="?", choices=RELEASES, default=DEFAULT_RELEASE)
    parser.add_argument("--architecture", choices=ARCHITECTURES, default=DEFAULT_ARCHITECTURE)
    given = parser.parse_args()
    print(ensure_image(release=given.release, architecture=given.architecture))


if __name__ == "__main__":
    sys.exit(run(main))
