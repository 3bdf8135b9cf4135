"""Where the image's Debian packages come from: wherever this machine's own apt gets Debian from."""

import subprocess

from analysis.command_line import UserError
from lab.image.release import RELEASES, Release

_FIELDS = "$(CREATED_BY) $(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN) $(CODENAME)"


class NoDebianSources(UserError):
    """This machine's apt knows no Debian archive."""


def host_sources(release: Release) -> list[str]:
    """sources.list lines of Debian's own archives (main, updates, security) as this machine reaches them."""
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", _FIELDS], check=True, capture_output=True, text=True
    ).stdout
    sources = sources_from(targets, release)
    if not sources:
        raise NoDebianSources(
            f"apt on this machine has no indexes of Debian {' or '.join(RELEASES)}: run `apt-get update`,"
            f" or add a {release} source to /etc/apt/sources.list.d first"
        )
    return sources


def sources_from(index_targets: str, release: Release) -> list[str]:
    """`index_targets` is the output of `apt-get indextargets` in the format above.

    A sample line: `Packages https://mirror.example/debian/ bookworm-updates main Debian bookworm-updates`.
    An archive that serves one release serves the others at the same address: what this machine knows of another release
    is taken for the one wanted, unless it knows that itself. Whether the keys fit is apt's to verify, as always.
    """
    known: dict[str, list[str]] = {}
    for line in index_targets.splitlines():
        match line.split():
            case ["Packages", uri, suite, "main", "Debian", codename]:
                base, _, pocket = codename.partition("-")
                # Its own name may be "stable"; another release's can only be a codename.
                own = suite if base == release else "-".join(filter(None, (release, pocket)))
                known.setdefault(base, []).append(f"deb {uri} {own} main")
    for base in (release, *RELEASES):
        if base in known:
            return sorted(set(known[base]))
    return []


def host_proxy_options() -> list[str]:
    """apt.conf lines that lead this machine's apt through a proxy or a private certificate authority."""
    dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
    wanted = ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::https::CaInfo")
    return [line for line in dump.splitlines() if line.startswith(wanted) and ' "' in line and '""' not in line]
