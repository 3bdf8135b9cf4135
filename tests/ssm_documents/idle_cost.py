"""What an idle dump volume costs, attached and parked: the blocks that its making writes, counted, and list prices."""

import json
import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hangdump_cli.plan import GP3_GIB_USD

_ROOT = Path(__file__).resolve().parents[2]
RESULTS = _ROOT / "results" / "idle-cost.json"
PAGES = (_ROOT / "README.md", _ROOT / "docs" / "parked-volume.md")
BEGIN, END = "<!-- idle cost: written by tests/ssm_documents/test_idle_cost.py -->\n", "<!-- end of idle cost -->\n"
MEMORY_GIB = (16, 64, 1024)
FILE_SYSTEMS = ("xfs", "ext4")
# US dollars a month and GB, list price of us-east-1. EBS keeps the blocks of 512 KiB that were ever written.
SNAPSHOT_GIB_USD = 0.05
_BLOCK = 512 << 10
# The protective MBR and the GPT at the beginning, and the copy of the GPT at the end.
_PARTITION_TABLE_BLOCKS = 2
_MAKE = """
set -euo pipefail
log() { :; }
note_change() { :; }
. "$1"
PARTITION=partition SSM_fileSystem="$2"
make_file_system
"""
_FORMAT = _ROOT / "ssm_documents" / "prepare_dump_volume" / "format_disk.sh"


@dataclass(frozen=True)
class IdleCost:
    """Of a host with so much memory; written: by mkfs into a file, and at most: with what it only reserves there."""

    memory_gib: int
    volume_gib: int
    file_system: str
    written_mib: float
    at_most_mib: float

    @property
    def attached_usd(self) -> float:
        return self.volume_gib * GP3_GIB_USD

    @property
    def parked_usd(self) -> float:
        """At most."""
        return self.at_most_mib / 1024 * SNAPSHOT_GIB_USD


def measure(memory_gib: int, file_system: str, directory: Path) -> IdleCost:
    """Makes the file system as prepare_dump_volume does, in a sparse file, and counts what is written."""
    volume_gib = 2 * memory_gib
    partition = directory / "dev" / "partition"
    partition.parent.mkdir(parents=True)
    with partition.open("wb") as file:
        # Without the first and the last MiB.
        file.truncate((volume_gib << 30) - (2 << 20))
    command = ["bash", "-c", _MAKE, "make", str(_FORMAT), file_system]
    subprocess.run(command, check=True, env={**os.environ, "HOST_ROOT": str(directory)}, capture_output=True)
    blocks = _written_blocks(partition) + _PARTITION_TABLE_BLOCKS
    later = _inode_tables(partition) if file_system == "ext4" else _log(partition)
    partition.unlink()
    written = blocks * _BLOCK / 2**20
    return IdleCost(memory_gib, volume_gib, file_system, written, written + later / 2**20)


def _written_blocks(path: Path) -> int:
    """The blocks with anything but a hole in them."""
    blocks: set[int] = set()
    with path.open("rb") as file:
        end = 0
        while True:
            try:
                begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:
                return len(blocks)
            end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            blocks |= set(range(begin // _BLOCK, (end - 1) // _BLOCK + 1))


def _inode_tables(path: Path) -> int:
    """Bytes that the kernel writes in the background once an ext4 is mounted."""
    said = subprocess.run(["dumpe2fs", "-h", str(path)], check=True, capture_output=True, text=True).stdout
    fields = dict(line.split(":", 1) for line in said.splitlines() if ":" in line)
    return int(fields["Inode count"]) * int(fields["Inode size"])


def _log(path: Path) -> int:
    """Bytes of xfs' log, which mkfs zeroes on a disk and leaves as a hole in a file."""
    command = ["xfs_db", "-r", "-f", "-c", "sb 0", "-c", "print logblocks blocksize", str(path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    fields = dict(line.split(" = ", 1) for line in said.splitlines())
    return int(fields["logblocks"]) * int(fields["blocksize"])


def note(costs: list[IdleCost]) -> None:
    """Into the results and the pages."""
    RESULTS.write_text(json.dumps([asdict(each) for each in costs], indent=2) + "\n", encoding="utf-8")
    for page in PAGES:
        before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        page.write_text(before + BEGIN + table(costs) + END + rest.partition(END)[2], encoding="utf-8")


def read() -> list[IdleCost]:
    known: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return [IdleCost(**each) for each in known]


def table(costs: list[IdleCost]) -> str:
    """In US dollars a month."""
    head = "| memory | volume | attached | parked, xfs | parked, ext4 | attached ÷ parked |"
    lines = [head, "|---" * 6 + "|"]
    for memory in MEMORY_GIB:
        xfs, ext4 = (next(c for c in costs if (c.memory_gib, c.file_system) == (memory, fs)) for fs in FILE_SYSTEMS)
        lines.append(
            f"| {memory:,} GiB | {xfs.volume_gib:,} GiB | {xfs.attached_usd:.2f} | {_parked(xfs)} | {_parked(ext4)} "
            f"| {_ratio(xfs)}, {_ratio(ext4)} |"
        )
    return "\n".join(lines) + "\n"


def _parked(cost: IdleCost) -> str:
    more = f", at most {cost.at_most_mib:,.0f}" if cost.at_most_mib > cost.written_mib else ""
    return f"{cost.parked_usd:.4f} ({cost.written_mib:,.1f} MiB{more})"


def _ratio(cost: IdleCost) -> str:
    return f"{cost.attached_usd / cost.parked_usd:,.0f}"
