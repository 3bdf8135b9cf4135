"""Builds the guest's disk once per recipe and keeps it; the recipe itself is in the shell scripts beside this file."""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from analysis.command_line import UserError
from lab.image.apt_sources import host_proxy_options, host_sources
from lab.image.release import DEFAULT_ARCHITECTURE, DEFAULT_RELEASE, Architecture, Release
from lab.lock import locked

CACHE = Path(__file__).resolve().parents[2] / ".cache"
_RECIPE = Path(__file__).parent
# Command → the Debian package that brings it.
_TOOLS = {"mmdebstrap": "mmdebstrap", "qemu-img": "qemu-utils", "mke2fs": "e2fsprogs", "unshare": "util-linux"}
_ARM64_TOOLS = {"arch-test": "arch-test", "mformat": "mtools", "qemu-aarch64-static": "qemu-user-static"}

Say = Callable[[str], None]


class ImageBuildFailed(UserError):
    """What is missing, or what the build said last."""


def ensure_image(
    say: Say = lambda line: print(line, flush=True),
    *,
    release: Release = DEFAULT_RELEASE,
    architecture: Architecture = DEFAULT_ARCHITECTURE,
) -> Path:
    """The root disk (qcow2, read-only by convention) with that Debian, built first when its recipe never was.

    Raises ImageBuildFailed. Processes that ask at the same time wait for one build. Only the build needs root: who has
    the disk needs neither root nor the lock, which may be root's.
    """
    disk = _disk(release, architecture)
    if disk.exists():
        return disk
    check_tools(_TOOLS | _ARM64_TOOLS if architecture == "arm64" else _TOOLS)
    require_root(release, architecture)
    with locked(CACHE / "image.lock", say):
        if not disk.exists():
            _build(disk.parent, release, architecture, say)
            _give_to_the_owner_of_the_checkout(disk.parent)
    return disk


def require_root(release: Release, architecture: Architecture = DEFAULT_ARCHITECTURE) -> None:
    """Raises ImageBuildFailed when the disk is still to be built and this process may not."""
    if os.geteuid() != 0 and not _disk(release, architecture).exists():
        target = "image" if architecture == DEFAULT_ARCHITECTURE else f"{architecture}-image"
        raise ImageBuildFailed(
            "building the guest's disk needs root, once: it installs Debian packages, here and in a chroot. "
            f"As root, run `make {target} RELEASE={release}`, then try again; nothing else needs root"
        )


def _disk(release: Release, architecture: Architecture) -> Path:
    return CACHE / "image" / recipe_hash(release, architecture) / "root.qcow2"


def recipe_hash(release: Release = DEFAULT_RELEASE, architecture: Architecture = DEFAULT_ARCHITECTURE) -> str:
    """Over the names and contents of all files of the recipe but those of other releases and architectures."""
    digest = hashlib.sha256(f"{release} {architecture}".encode())
    for path in sorted(_RECIPE.rglob("*")):
        name = path.relative_to(_RECIPE)
        # releases/bookworm/packages.txt
        is_shared = name.parts[0] not in ("releases", "architectures")
        is_own = is_shared or name.parts[1:2] in ((release,), (architecture,))
        if path.is_file() and "__pycache__" not in path.parts and is_own:
            digest.update(f"{name}\0{path.stat().st_mode & 0o777:o}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def check_tools(tools: Mapping[str, str]) -> None:
    """`tools`: a command → the Debian package that brings it. Raises ImageBuildFailed, naming those to install."""
    packages = sorted({package for tool, package in tools.items() if shutil.which(tool) is None})
    if packages:
        raise ImageBuildFailed(f"missing tools; install them with: apt-get install -y {' '.join(packages)}")


def _give_to_the_owner_of_the_checkout(directory: Path) -> None:
    """After `sudo make image` the rest of the cache is still its user's to fill, and all of it theirs to remove."""
    owner = CACHE.parent.stat()
    for path in (CACHE, *CACHE.glob("image*"), directory, *directory.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


def _build(directory: Path, release: Release, architecture: Architecture, say: Say) -> None:
    work = directory.with_name(f"{directory.name}.building")
    # Left by a build that was killed. Its mounts went with its mount namespace.
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    sources = work / "sources.list"
    sources.write_text("\n".join(host_sources(release)) + "\n")
    options = work / "apt.conf"
    options.write_text("\n".join(host_proxy_options()) + "\n")
    try:
        arguments = [str(work), str(sources), str(options), release, architecture]
        _run_build([str(_RECIPE / "build.sh"), *arguments], work / "build.log", say)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(directory, ignore_errors=True)
    work.rename(directory)


def _run_build(command: list[str], log: Path, say: Say) -> None:
    """Relays the lines that start with `==>`, keeps the others for the day it fails."""
    started = time.monotonic()
    # Mounts made in a namespace of its own cannot outlive the build, however it ends.
    arguments = ["unshare", "--mount", "--propagation", "private", "--", *command]
    with (
        log.open("w") as output,
        subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
        ) as build,
    ):
        for line in build.stdout or ():
            output.write(line)
            if line.startswith("==> "):
                say(f"[image {time.monotonic() - started:4.0f} s] {line[4:].rstrip()}")
    if build.returncode:
        said = log.read_text()
        tail = "".join(said.splitlines(keepends=True)[-25:])
        # W: GPG error: … trixie InRelease: … the public key is not available: NO_PUBKEY 762F67A0B2C39DE4
        advice = "this machine does not know that release's keys: upgrade debian-archive-keyring\n"
        raise ImageBuildFailed(
            f"building the guest image ended with {build.returncode}:\n{advice if 'NO_PUBKEY' in said else ''}{tail}"
        )
