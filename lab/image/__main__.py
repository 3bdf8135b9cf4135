"""`python -m lab.image`: build the image unless it is there, and say where it is."""

import sys

from lab.image.apt_sources import NoDebianSources
from lab.image.build import ImageBuildFailed, ensure_image

if __name__ == "__main__":
    try:
        print(ensure_image())
    except (ImageBuildFailed, NoDebianSources) as error:
        sys.exit(f"lab.image: {error}")
