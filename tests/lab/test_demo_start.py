"""What `make demo` says before it begins: mistakes first, then what needs root, and only then is anything installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.demo import options
from lab.image import build
from lab.image.build import ImageBuildFailed

ROOT = Path(__file__).resolve().parents[2]
MAKE = shutil.which("make") or "make"


def _tools(folder: Path, **scripts: str) -> dict[str, str]:
    """An environment whose PATH has these commands and a few that read and write files."""
    folder.mkdir()
    for name in ("sed", "grep", "mktemp", "cat", "rm", "tr"):
        (folder / name).symlink_to(str(shutil.which(name)))
    for name, script in scripts.items():
        command = folder / name.replace("_", "-")
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)
    return {**os.environ, "PATH": str(folder)}


def _make(*arguments: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Without dpkg on PATH: what comes after the options ends with "needs a Debian or Ubuntu host"."""
    command = [MAKE, "--no-print-directory", "demo", f"PYTHON={sys.executable}", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("FILESYSTEM=ext4", "no variable FILESYSTEM. Did you mean FILE_SYSTEM? It takes RELEASE, FILE_SYSTEM,"),
        ("memory_mib=4096", "no variable memory_mib. Did you mean MEMORY_MIB?"),
        (
            "COLOUR=red",
            "no variable COLOUR. It takes RELEASE, FILE_SYSTEM, FINAL_ACTION, MEMORY_MIB, HARDENED, DUMP_VOLUME, "
            "DRILL.",
        ),
        ("FILE_SYSTEM=btrfs", "argument --file-system: invalid choice: 'btrfs' (choose from 'xfs', 'ext4')"),
    ],
)
def test_a_mistake_is_refused_before_anything_is_installed(given: str, said: str, tmp_path: Path) -> None:
    done = _make(given, environment=_tools(tmp_path / "bin"))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Debian or Ubuntu host" not in done.stderr


def test_what_is_right_goes_on_to_the_packages(tmp_path: Path) -> None:
    done = _make("FILE_SYSTEM=ext4", environment=_tools(tmp_path / "bin"))
    assert "Debian or Ubuntu host" in done.stderr


def test_an_old_python_is_named_with_what_to_do(tmp_path: Path) -> None:
    environment = _tools(tmp_path / "bin", python3="exit 1")
    done = _make("PYTHON=python3", environment=environment)
    assert "needs Python 3.11 or newer as python3" in done.stderr
    assert "make demo PYTHON=" in done.stderr


def _install(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [str(ROOT / "lab" / "install_packages.sh"), str(ROOT / "lab" / "debian-packages.txt")]
    given = {**environment, "AS_ROOT": "make image"}
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False)


def test_who_is_not_root_is_told_the_one_command_that_needs_root(tmp_path: Path) -> None:
    called = tmp_path / "called"
    tools = _tools(tmp_path / "bin", id="echo 1000", dpkg_query="exit 1", apt_get=f"echo $* >>{called}")
    done = _install(tools)
    assert (done.returncode, done.stdout) == (1, "")
    assert "    sudo make image\n" in done.stderr
    assert "qemu-system-x86" in done.stderr
    assert not called.exists()


def test_what_is_there_needs_no_root(tmp_path: Path) -> None:
    done = _install(_tools(tmp_path / "bin", id="echo 1000", dpkg_query="echo install ok installed"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# As apt-get says it on a Debian without apt-utils.
_WARNING = "debconf: delaying package configuration, since apt-utils is not installed"


@pytest.mark.parametrize(("status", "is_said"), [(0, False), (100, True)])
def test_apt_is_heard_only_when_it_fails(status: int, is_said: bool, tmp_path: Path) -> None:
    apt = f"echo '{_WARNING}' >&2; exit {status}"
    done = _install(_tools(tmp_path / "bin", id="echo 0", dpkg_query="exit 1", apt_get=apt))
    assert (done.returncode == 0, _WARNING in done.stderr) == (not is_said, is_said)
    assert ("no other apt running?" in done.stderr) == is_said


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one."""
    monkeypatch.setattr(build, "CACHE", tmp_path / "checkout" / ".cache")
    (tmp_path / "checkout").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return tmp_path / "checkout" / ".cache"


def test_only_the_build_of_the_image_needs_root(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_TOOLS", {})
    with pytest.raises(ImageBuildFailed, match="As root, run `make image RELEASE=trixie`"):
        build.ensure_image(release="trixie")
    assert not cache.exists()
    disk = cache / "image" / build.recipe_hash("trixie") / "root.qcow2"
    disk.parent.mkdir(parents=True)
    disk.touch()
    # Root's, and not to be opened.
    (cache / "image.lock").mkdir()
    assert build.ensure_image(release="trixie") == disk


def test_make_demo_says_so_before_it_installs_anything(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the very check that refuses mistakes."""
    monkeypatch.setattr(sys, "argv", ["options", "RELEASE", "--release", "trixie"])
    with pytest.raises(ImageBuildFailed, match="As root, run `make image RELEASE=trixie`"):
        options.check()


@pytest.mark.skipif(os.getuid() != 0, reason="gives files away")
def test_what_root_built_belongs_to_the_owner_of_the_checkout(cache: Path) -> None:
    os.chown(cache.parent, 4711, 4711)
    (cache / "image" / "0123").mkdir(parents=True)
    (cache / "image" / "0123" / "root.qcow2").touch()
    (cache / "image.lock").touch()
    build._give_to_the_owner_of_the_checkout(cache / "image" / "0123")
    assert {path.stat().st_uid for path in (cache, *cache.rglob("*"))} == {4711}
