"""The root of a Debian host, with kdump-tools waiting in a repository inside: built once per recipe."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from lab.image.apt_sources import host_proxy_options, host_sources
from lab.image.release import Release
from lab.lock import locked

HERE = Path(__file__).parent
LAB_IMAGE = Path(__file__).resolve().parents[3] / "lab/image"
CACHE = Path(__file__).resolve().parents[3] / ".cache"
_RECIPE = ("packages.txt", "offline_packages.txt", "offline_repository.sh", "seal.sh", "preseed")


def ensure_tree(release: Release) -> Path:
    """The directory with its files, which nobody may change: a host mounts it beneath its own changes."""
    recipe = [
        HERE / "build.sh",
        LAB_IMAGE / f"releases/{release}/packages.txt",
        LAB_IMAGE / "architectures/amd64/packages.txt",
        *(LAB_IMAGE / name for name in _RECIPE),
    ]
    key = hashlib.sha256(b"\0".join(path.read_bytes() for path in recipe)).hexdigest()[:16]
    directory = CACHE / "real-root" / f"{release}-{key}"
    with locked(CACHE / "real-root.lock"):
        if not directory.exists():
            _build(directory, release)
    return directory / "tree"


def _build(directory: Path, release: Release) -> None:
    work = directory.with_name(f"{directory.name}.building")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / "sources.list").write_text("\n".join(host_sources(release)) + "\n")
    (work / "apt.conf").write_text("\n".join(host_proxy_options()) + "\n")
    # The mounts that mmdebstrap makes end with the namespace, however the build ends.
    build: list[str | Path] = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "--",
        HERE / "build.sh",
        work,
        LAB_IMAGE,
        release,
    ]
    with (work / "build.log").open("w") as log:
        code = subprocess.run(build, stdout=log, stderr=subprocess.STDOUT, check=False, env=_environment()).returncode
    said = (work / "build.log").read_text()
    assert code == 0, f"building the real root ended with {code}:\n{said[-3000:]}"
    work.rename(directory)


def _environment() -> dict[str, str]:
    return dict(
        os.environ, DEBIAN_FRONTEND="noninteractive", PATH=f"{os.environ['PATH']}:/usr/sbin:/usr/bin:/sbin:/bin"
    )
