"""The disk that stands for what a twin gets from its distribution: the kernel's symbols, and a Python with drgn.

Guests reach no package archive. The Python is this machine's, with the libraries that it loads but for libc, so it runs
in a guest whose libc is as new. The rest of the disk is room for the dump.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import drgn

from tests.guest.kernel_packages import KernelPackages

VOLUME = "vol-0dddddddddddddddd"
_SIZE = "10G"
_MODULES_OF_PYTHON = ("test", "idlelib", "tkinter", "lib2to3", "ensurepip", "__pycache__", "site-packages")
# libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f…)
_LIBRARY = re.compile(r"=> (/\S+)")
# The guest's own, which belong to its loader.
_OF_LIBC = ("libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "libresolv.so", "libutil.so")
_START = """\
#!/bin/sh
export PYTHONHOME=/opt/twin LD_LIBRARY_PATH=/opt/twin/libraries PYTHONPATH="$PYTHONPATH:/opt/twin/packages"
exec /opt/twin/python "$@"
"""


def make_twin_disk(volumes: Path, kernel: KernelPackages, work: Path) -> str:
    """Makes the disk below `volumes`, as a guest attaches it by name; the name."""
    root = work / "root"
    debug = root / "debug/boot"
    debug.mkdir(parents=True)
    shutil.copy2(kernel.vmlinux, debug)
    _copy_python(root)
    (root / "room").mkdir()
    # As /var/tmp is.
    (root / "room").chmod(0o1777)
    raw = work / "disk.raw"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, raw, _SIZE], check=True)
    volumes.mkdir(parents=True, exist_ok=True)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, volumes / f"{VOLUME}.qcow2"], check=True)
    raw.unlink()
    shutil.rmtree(root)
    return VOLUME


def _copy_python(root: Path) -> None:
    interpreter = Path(sys.executable).resolve()
    shutil.copy2(interpreter, root / "python")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    ignored = shutil.ignore_patterns(*_MODULES_OF_PYTHON)
    shutil.copytree(sysconfig.get_path("stdlib"), root / "lib" / version, ignore=ignored)
    package = Path(drgn.__file__).parent
    (root / "packages").mkdir()
    for each in package.parent.glob("*drgn*"):
        if each.is_dir():
            shutil.copytree(each, root / "packages" / each.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            # _drgn.cpython-311-x86_64-linux-gnu.so
            shutil.copy2(each, root / "packages")
    libraries = root / "libraries"
    libraries.mkdir()
    for library in _libraries([root / "python", *root.rglob("*.so"), *root.rglob("*.so.*")]):
        shutil.copy2(library, libraries)
    start = root / "start"
    start.write_text(_START)
    start.chmod(0o755)


def _libraries(files: Iterable[Path]) -> Iterator[Path]:
    found: set[str] = set()
    for file in files:
        printed = subprocess.run(["ldd", file], check=False, capture_output=True, text=True).stdout
        found |= set(_LIBRARY.findall(printed))
    for library in sorted(found):
        path = Path(library)
        if not path.name.startswith(_OF_LIBC):
            yield path
