"""The commands that install a distribution's debuginfo of one kernel. Pure; runs nothing.

The names differ by family; all end with a vmlinux in one of the places that installed_kernels names.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# From /etc/os-release, ID and ID_LIKE.
_REDHAT = {"rhel", "centos", "fedora", "rocky", "almalinux", "ol", "amzn"}
_DEBIAN = {"debian"}
_UBUNTU = {"ubuntu"}
_SUSE = {"suse", "sles", "opensuse", "opensuse-leap", "opensuse-tumbleweed"}

# The allowed release strings: they come from a vmcore and go into a command that root runs.
RELEASE = re.compile(r"[0-9][0-9A-Za-z.+~_-]{1,127}")
_DDEBS = "deb http://ddebs.ubuntu.com {suite} main restricted universe multiverse\n"
# A host that has just booted may still install its updates.
_APT = ("apt-get", "-o", "DPkg::Lock::Timeout=300")
_APT_INSTALL = (*_APT, "install", "-y", "--no-install-recommends")


@dataclass(frozen=True)
class InstallStep:
    """A command for root, and its standard input."""

    arguments: tuple[str, ...]
    text: str = ""

    def __str__(self) -> str:
        command = shlex.join(self.arguments)
        return f"printf %s {shlex.quote(self.text)} | {command} > /dev/null" if self.text else command


_APT_UPDATE = InstallStep((*_APT, "update"))


def family_of(os_release: Mapping[str, str]) -> str:
    """redhat, debian, ubuntu, suse or "" """
    names = {os_release.get("ID", ""), *os_release.get("ID_LIKE", "").split()}
    for family, members in (("ubuntu", _UBUNTU), ("debian", _DEBIAN), ("redhat", _REDHAT), ("suse", _SUSE)):
        if names & members:
            return family
    return ""


def install_steps(os_release: Mapping[str, str], release: str) -> list[InstallStep]:
    """The commands that root runs on a host of that distribution, in order; empty for an unknown distribution."""
    if not RELEASE.fullmatch(release):
        return []
    commands = {"redhat": _redhat, "debian": _debian, "ubuntu": _ubuntu, "suse": _suse}
    family = family_of(os_release)
    return commands[family](os_release, release) if family else []


def _redhat(os_release: Mapping[str, str], release: str) -> list[InstallStep]:
    """The release, 5.14.0-427.13.1.el9_4.x86_64, is also the package's version. Before EL8 there is no dnf."""
    if os_release.get("VERSION_ID", "").split(".")[0] in {"2", "7"}:
        return [
            InstallStep(("yum", "install", "-y", "yum-utils")),
            InstallStep(("debuginfo-install", "-y", f"kernel-{release}")),
        ]
    return [
        InstallStep(("dnf", "install", "-y", "dnf-plugins-core")),
        InstallStep(("dnf", "debuginfo-install", "-y", f"kernel-{release}")),
    ]


def _debian(os_release: Mapping[str, str], release: str) -> list[InstallStep]:  # noqa: ARG001 - as the other families
    return [_APT_UPDATE, InstallStep((*_APT_INSTALL, f"linux-image-{release}-dbg"))]


def _ubuntu(os_release: Mapping[str, str], release: str) -> list[InstallStep]:
    """Ubuntu keeps its debug symbols in an archive of their own, which must be added first."""
    suite = os_release.get("VERSION_CODENAME", "")
    if not re.fullmatch("[a-z]+", suite):
        return []
    sources = "".join(_DDEBS.format(suite=each) for each in (suite, f"{suite}-updates"))
    return [
        _APT_UPDATE,
        InstallStep((*_APT_INSTALL, "ubuntu-dbgsym-keyring")),
        InstallStep(("tee", "/etc/apt/sources.list.d/hangdump-ddebs.list"), sources),
        _APT_UPDATE,
        InstallStep((*_APT_INSTALL, f"linux-image-unsigned-{release}-dbgsym")),
    ]


def _suse(os_release: Mapping[str, str], release: str) -> list[InstallStep]:  # noqa: ARG001 - as the other families
    """5.14.21-150500.55.62-default: the package's name has the flavour. The repositories are off by default."""
    version, _, flavour = release.rpartition("-")
    package = f"kernel-{flavour}-debuginfo-{version}"
    return [InstallStep(("zypper", "--non-interactive", "--plus-content", "debug", "install", package))]


def installed_kernels(root: Path, release: str, build_id: str) -> list[Path]:
    """The paths where those packages install the kernel's symbols, by build id first."""
    debug = root / "usr/lib/debug"
    places = [
        debug / f"boot/vmlinux-{release}",
        debug / f"lib/modules/{release}/vmlinux",
        debug / f"usr/lib/modules/{release}/vmlinux",
        debug / f"lib/modules/{release}/vmlinux.debug",
        debug / f"usr/lib/modules/{release}/vmlinux.debug",
        debug / f"boot/vmlinux-{release}.debug",
        root / f"lib/modules/{release}/build/vmlinux",
    ]
    if build_id:
        places.insert(0, debug / f".build-id/{build_id[:2]}/{build_id[2:]}.debug")
    return places
