"""Lambda's architecture and Python on this machine: Debian's python3.14 for arm64 under QEMU's user-mode emulation.

Fetched once from Debian's unstable, kept in .cache. Versions vanish from its mirrors, so none is pinned.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.foundation.bundle import PYTHON_VERSION
from lab.image.apt_sources import host_proxy_options, host_sources
from lab.image.build import CACHE
from lab.lock import locked

_PACKAGES = (f"python{PYTHON_VERSION}-minimal", f"libpython{PYTHON_VERSION}-stdlib")


class NotAvailable(Exception):
    """Debian has no such Python any more, or this machine's apt no QEMU."""


@dataclass(frozen=True)
class Arm64Python:
    """`command` starts the interpreter."""

    command: tuple[str, ...]


def ensure_arm64_python() -> Arm64Python:
    """Raises NotAvailable with what apt said."""
    directory = CACHE.resolve() / "arm64-python" / PYTHON_VERSION
    directory.parent.mkdir(parents=True, exist_ok=True)
    with locked(directory.with_name(f"{PYTHON_VERSION}.lock")):
        if not directory.exists():
            _fetch(directory)
    root = directory / "root"
    python = root / f"usr/bin/python{PYTHON_VERSION}"
    return Arm64Python((str(directory / "qemu/usr/bin/qemu-aarch64-static"), "-L", str(root), str(python)))


def _fetch(directory: Path) -> None:
    work = directory.with_name(f"{directory.name}.fetching")
    shutil.rmtree(work, ignore_errors=True)
    for folder in ("state/lists/partial", "cache/archives/partial", "root/usr/lib", "qemu"):
        (work / folder).mkdir(parents=True)
    configuration = _apt_of_its_own(work)
    _apt(["update"], APT_CONFIG=str(configuration))
    _apt(["install", "--yes", "--download-only", *_PACKAGES], APT_CONFIG=str(configuration))
    for package in (work / "cache/archives").glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, work / "root"], check=True)
    # Of Debian's base-files; the loader is at /lib/ld-linux-aarch64.so.1.
    (work / "root/lib").symlink_to("usr/lib")
    _apt(["download", "-o", "APT::Sandbox::User=root", "qemu-user-static"], cwd=work)
    (qemu,) = work.glob("qemu-user-static_*.deb")
    subprocess.run(["dpkg-deb", "-x", qemu, work / "qemu"], check=True)
    qemu.unlink()
    shutil.rmtree(work / "cache")
    work.rename(directory)


def _apt_of_its_own(work: Path) -> Path:
    """Lists, cache and an empty status of its own: nothing of this machine's packages is looked at or changed."""
    addresses = {line.split()[1] for line in host_sources("bookworm") if line.split()[2] in ("bookworm", "stable")}
    (work / "sources.list").write_text("".join(f"deb {each} sid main\n" for each in sorted(addresses)))
    (work / "status").touch()
    configuration = work / "apt.conf"
    lines = [
        f'Dir::State "{work}/state";',
        f'Dir::State::status "{work}/status";',
        f'Dir::Cache "{work}/cache";',
        f'Dir::Etc::sourcelist "{work}/sources.list";',
        'Dir::Etc::sourceparts "-";',
        'APT::Architecture "arm64";',
        'APT::Architectures { "arm64"; };',
        'APT::Install-Recommends "false";',
        'APT::Sandbox::User "root";',
        'Acquire::Languages "none";',
        *host_proxy_options(),
    ]
    configuration.write_text("\n".join(lines) + "\n")
    return configuration


def _apt(arguments: list[str], *, cwd: Path | None = None, **environment: str) -> None:
    done = subprocess.run(
        ["env", *(f"{name}={value}" for name, value in environment.items()), "apt-get", "--quiet", *arguments],
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise NotAvailable(f"apt-get {' '.join(arguments)}: {done.stderr}")
