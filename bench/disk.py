"""A disk of a known speed: ext4 on a loop device over memory, whose readers a cgroup limits."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from analysis.command_line import UserError

_MIB = 1024**2
# Of cgroup v1, where a limit needs no other controller.
_BLKIO = Path("/sys/fs/cgroup/blkio")


class NoSlowDisk(UserError):
    """This machine cannot limit a disk."""


@dataclass(frozen=True)
class Disk:
    """`directory` is its root, `readers` the cgroup whose processes are held to its speed."""

    directory: Path
    readers: Path

    def forget(self, file: Path) -> None:
        """Drops the file from the page cache, so that the next reader waits for the disk."""
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


@contextmanager
def slow_disk(size_bytes: int, *, mib_per_second: int) -> Iterator[Disk]:
    """Needs root, a loop device, and memory for what is written to it. Raises NoSlowDisk."""
    if os.geteuid() != 0 or not (_BLKIO / "blkio.throttle.read_bps_device").exists():
        raise NoSlowDisk("a disk of a known speed needs root and cgroup v1's blkio; see docs/bench.md")
    with ExitStack() as undone:
        scratch = undone.enter_context(tempfile.TemporaryDirectory(prefix="hangdump-bench-disk-"))
        backing = undone.enter_context(_memory_file(size_bytes))
        device = _run("losetup", "--find", "--show", str(backing)).strip()
        undone.callback(_run, "losetup", "--detach", device)
        _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", device)
        mount, readers = Path(scratch) / "mount", _BLKIO / Path(scratch).name
        mount.mkdir()
        _run("mount", device, str(mount))
        undone.callback(_run, "umount", str(mount))
        readers.mkdir()
        undone.callback(readers.rmdir)
        number = os.stat(device).st_rdev
        limit = f"{os.major(number)}:{os.minor(number)} {mib_per_second * _MIB}"
        (readers / "blkio.throttle.read_bps_device").write_text(limit)
        yield Disk(mount, readers)


@contextmanager
def _memory_file(size_bytes: int) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(prefix="hangdump-bench-", dir="/dev/shm") as file:
        file.truncate(size_bytes + size_bytes // 16 + 256 * _MIB)
        yield Path(file.name)


def _run(*arguments: str) -> str:
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
