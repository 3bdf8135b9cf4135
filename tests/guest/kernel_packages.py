"""The headers and the symbols of exactly the guest's kernel, as Debian packages it; fetched once, kept in .cache."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.image.build import CACHE
from lab.lock import locked


@dataclass(frozen=True)
class KernelPackages:
    """`vmlinux` has the symbols; `headers` is what `make -C` wants."""

    release: str
    vmlinux: Path
    headers: Path


def ensure_kernel_packages(release: str) -> KernelPackages:
    """Raises RuntimeError when this machine's apt does not have that kernel (any more)."""
    directory = _ensure(release, CACHE.resolve() / "kernel" / release, with_symbols=True)
    return KernelPackages(
        release=release,
        vmlinux=directory / f"usr/lib/debug/boot/vmlinux-{release}",
        headers=directory / f"usr/src/linux-headers-{release}",
    )


def ensure_headers(release: str) -> Path:
    """The headers alone: the symbols are a hundred times as large. Raises RuntimeError like the above."""
    directory = _ensure(release, CACHE.resolve() / "kernel-headers" / release, with_symbols=False)
    return directory / f"usr/src/linux-headers-{release}"


def _ensure(release: str, directory: Path, *, with_symbols: bool) -> Path:
    with locked(directory.with_name(f"{release}.lock")):
        if not directory.exists():
            _fetch(release, directory, with_symbols=with_symbols)
    return directory


def _fetch(release: str, directory: Path, *, with_symbols: bool) -> None:
    """6.1.0-56-cloud-amd64 → headers of the flavour and the common ones, kbuild's tools, the debug symbols."""
    abi = release.removesuffix("-cloud-amd64")
    kbuild = ".".join(abi.split(".")[:2])
    work = directory.with_name(f"{directory.name}.fetching")
    shutil.rmtree(work, ignore_errors=True)
    (work / "root").mkdir(parents=True)
    names = [
        f"linux-headers-{release}",
        f"linux-headers-{abi}-common",
        f"linux-kbuild-{kbuild}",
        *([f"linux-image-{release}-dbg"] if with_symbols else []),
    ]
    done = subprocess.run(
        ["apt-get", "-o", "APT::Sandbox::User=root", "download", *names],
        cwd=work,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(
            f"apt has no packages of {release}: run `apt-get update`, or remove .cache/image for a guest with a newer "
            f"kernel\n{done.stderr}"
        )
    for package in sorted(work.glob("*.deb")):
        _extract(package, work / "root", only="./usr/lib/debug/boot/*" if package.name.count("-dbg_") else "*")
        package.unlink()
    # They name each other by the places where they are installed.
    for makefile in (work / "root/usr/src").glob("linux-headers-*/Makefile"):
        makefile.write_text(makefile.read_text().replace(" /usr/src/", f" {directory}/usr/src/"))
    (work / "root").rename(directory)
    shutil.rmtree(work)


def _extract(package: Path, root: Path, *, only: str) -> None:
    """The symbols' package has 1.7 GB of modules that no test looks at."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as unpack:
        subprocess.run(["tar", "-x", "-C", root, "--wildcards", only], stdin=unpack.stdout, check=True)
    if unpack.returncode:
        raise RuntimeError(f"{package.name} cannot be unpacked: {unpack.returncode}")
