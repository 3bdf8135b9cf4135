"""`python -m lab.image [RELEASE]`: build the image unless it is there, and say where it is."""

import argparse
import sys

from lab.image.apt_sources import NoDebianSources
from lab.image.build import ImageBuildFailed, ensure_image
from lab.image.release import DEFAULT_RELEASE, RELEASES

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m lab.image", description="Build a guest's disk, once per recipe.")
    parser.add_argument("release", nargs="?", choices=RELEASES, default=DEFAULT_RELEASE)
    try:
        print(ensure_image(release=parser.parse_args().release))
    except (ImageBuildFailed, NoDebianSources) as error:
        sys.exit(f"lab.image: {error}")
