"""The Debian releases that a guest can run. What differs between them is in releases/<name>/."""

from typing import Literal, get_args

Release = Literal["bookworm", "trixie"]
RELEASES: tuple[Release, ...] = get_args(Release)
DEFAULT_RELEASE: Release = "bookworm"
