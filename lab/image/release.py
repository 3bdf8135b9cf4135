"""The Debian releases that a guest can run, and their architectures by Debian's names.

What differs between them is in releases/<name>/ and architectures/<name>/.
"""

from typing import Literal, get_args

Release = Literal["bookworm", "trixie"]
RELEASES: tuple[Release, ...] = get_args(Release)
DEFAULT_RELEASE: Release = "bookworm"

Architecture = Literal["amd64", "arm64"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)
DEFAULT_ARCHITECTURE: Architecture = "amd64"
