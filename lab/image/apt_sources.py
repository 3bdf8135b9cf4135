"""Where the image's Debian packages come from: wherever this machine's own apt gets bookworm from."""

import subprocess

RELEASE = "bookworm"
_FIELDS = "$(CREATED_BY) $(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN) $(CODENAME)"


class NoDebianSources(Exception):
    """This machine's apt does not know Debian bookworm."""


def host_sources() -> list[str]:
    """sources.list lines of Debian's own archives (main, updates, security) as this machine reaches them."""
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", _FIELDS], check=True, capture_output=True, text=True
    ).stdout
    sources = sources_from(targets)
    if not sources:
        raise NoDebianSources(
            f"apt on this machine has no indexes of Debian {RELEASE}: run `apt-get update`,"
            f" or add a {RELEASE} source to /etc/apt/sources.list.d first"
        )
    return sources


def sources_from(index_targets: str) -> list[str]:
    """`index_targets` is the output of `apt-get indextargets` in the format above.

    A sample line: `Packages https://mirror.example/debian/ bookworm-updates main Debian bookworm-updates`.
    """
    sources = []
    for line in index_targets.splitlines():
        match line.split():
            case ["Packages", uri, release, "main", "Debian", codename] if codename.startswith(RELEASE):
                sources.append(f"deb {uri} {release} main")
    return sorted(set(sources))


def host_proxy_options() -> list[str]:
    """apt.conf lines that lead this machine's apt through a proxy or a private certificate authority."""
    dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
    wanted = ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::https::CaInfo")
    return [line for line in dump.splitlines() if line.startswith(wanted) and ' "' in line and '""' not in line]
