"""Finds the debuginfo of exactly one kernel, and refuses any other. Opens no dump."""

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analysis.debuginfo_packages import InstallStep, install_steps, installed_kernels
from analysis.debuginfod import fetch_debuginfo, servers
from analysis.elf_build_id import elf_build_id
from analysis.errors import DebuginfoNotFound, SymbolsMismatched
from analysis.vmcore import Identity

Run = Callable[[InstallStep], None]


@dataclass(frozen=True)
class Debuginfo:
    """The kernel's symbols, and the places to look for its modules' symbols."""

    kernel: Path
    module_directories: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Sources:
    """The places to look. If a file or directory is given, only that is used; `install` runs commands as root."""

    vmlinux: Path | None = None
    directory: Path | None = None
    install: Run | None = None
    debuginfod_urls: Sequence[str] = field(default_factory=lambda: servers(os.environ.get("DEBUGINFOD_URLS", "")))
    cache: Path = field(default_factory=lambda: Path.home() / ".cache/debuginfod_client")
    root: Path = Path("/")


def find_debuginfo(identity: Identity, sources: Sources) -> Debuginfo:
    """Raises SymbolsMismatched (with both ids) and DebuginfoNotFound (with what was tried, and what to run)."""
    if sources.vmlinux is not None:
        return _given_file(identity, sources)
    if sources.directory is not None:
        return _given_directory(identity, sources.directory)
    found = _installed(identity, sources.root)
    tried = ["installed packages"]
    if found is None and identity.build_id:
        kernel, refusals = fetch_debuginfo(sources.debuginfod_urls, identity.build_id, sources.cache)
        found = Debuginfo(kernel) if kernel is not None and elf_build_id(kernel) == identity.build_id else None
        tried += [f"debuginfod {refusal}" for refusal in refusals] or ["debuginfod (DEBUGINFOD_URLS is not set)"]
    steps = install_steps(read_os_release(sources.root), identity.release)
    if found is None and sources.install is not None:
        tried += _install(steps, sources.install)
        found = _installed(identity, sources.root)
    if found is None:
        raise DebuginfoNotFound(_advice(identity, steps, tried))
    return found


def install_debuginfo(release: str, root: Path = Path("/")) -> list[str]:
    """Installs the distribution's packages for a kernel, as root; the failures. Opens no dump."""
    return _install(install_steps(read_os_release(root), release), run_step)


def check_match(identity: Identity, vmlinux: Path) -> bool:
    """Whether the file is known to be of that build. Raises SymbolsMismatched if it is of another.

    False: the dump names no build id (before Linux 5.9), so that only the release speaks for the file.
    """
    own = elf_build_id(vmlinux)
    if not identity.build_id:
        return False
    if own != identity.build_id:
        raise SymbolsMismatched(
            f"{vmlinux} has the build id {own or '(none)'}; the vmcore is of {identity.release} with the build id "
            f"{identity.build_id}. Symbols of another build give wrong names and wrong data: get those of this one"
        )
    return True


def read_os_release(root: Path) -> dict[str, str]:
    """/etc/os-release, or an empty mapping."""
    try:
        lines = (root / "etc/os-release").read_text().splitlines()
    except OSError:
        return {}
    return {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines) if value}


def run_step(step: InstallStep) -> None:
    """Runs a command; its output goes to standard error, like the caller's log."""
    subprocess.run(step.arguments, input=step.text or None, text=True, check=True, stdout=2)


def _given_file(identity: Identity, sources: Sources) -> Debuginfo:
    vmlinux = sources.vmlinux
    if vmlinux is None or not vmlinux.is_file():
        raise DebuginfoNotFound(f"{vmlinux} is no file")
    check_match(identity, vmlinux)
    directories = (sources.directory,) if sources.directory else ()
    return Debuginfo(vmlinux, (*directories, *_module_directories(sources.root, identity.release)))


def _given_directory(identity: Identity, directory: Path) -> Debuginfo:
    candidates = sorted(path for path in directory.rglob("*") if path.is_file() and _may_be_kernel(path))
    for candidate in candidates:
        if identity.build_id and elf_build_id(candidate) == identity.build_id:
            return Debuginfo(candidate, (directory,))
    named = [path for path in candidates if path.name.startswith("vmlinux")]
    if not named:
        raise DebuginfoNotFound(f"no vmlinux of {identity.release} ({identity.build_id}) in {directory}")
    check_match(identity, named[0])
    return Debuginfo(named[0], (directory,))


def _may_be_kernel(path: Path) -> bool:
    """By name: vmlinux, vmlinux-6.1.0-56, vmlinux.debug, .build-id/3b/43fa….debug; modules are .ko.debug."""
    return path.name.startswith("vmlinux") or (path.suffix == ".debug" and ".ko" not in path.suffixes)


def _installed(identity: Identity, root: Path) -> Debuginfo | None:
    for path in installed_kernels(root, identity.release, identity.build_id):
        if path.is_file() and (not identity.build_id or elf_build_id(path) == identity.build_id):
            return Debuginfo(path, _module_directories(root, identity.release))
    return None


def _module_directories(root: Path, release: str) -> tuple[Path, ...]:
    debug = root / "usr/lib/debug"
    places = (debug / f"lib/modules/{release}", debug / f"usr/lib/modules/{release}")
    return tuple(place for place in places if place.is_dir())


def _install(steps: Sequence[InstallStep], run: Run) -> list[str]:
    """Runs all steps and returns the failures. A step may fail harmlessly: a keyring may already be installed."""
    problems = []
    for step in steps:
        try:
            run(step)
        except (OSError, subprocess.CalledProcessError) as error:
            problems.append(f"{step}: {error}")
    return problems


def _advice(identity: Identity, steps: Sequence[InstallStep], tried: Sequence[str]) -> str:
    commands = "".join(f"\n    {step}" for step in steps) or "\n    (this distribution is not known)"
    return (
        f"no debuginfo of {identity.release} with the build id {identity.build_id or '(none)'}; "
        f"tried: {', '.join(tried)}. Give a file (--vmlinux) or a directory (--debuginfo), set DEBUGINFOD_URLS, "
        f"or on a host of the same distribution run as root:{commands}"
    )
