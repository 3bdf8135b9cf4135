"""Finds who had the memory when it was out: processes of one name, a slab cache, or the kernel itself. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from lambdas.triage.model import Memory, ProcessMemory
from lambdas.triage.printk import Line
from lambdas.triage.read_memory import Slab, largest_slab
from lambdas.triage.signature import without_digits

# Who had less than this part of all memory is not the cause.
_LEAST_PART = 5


@dataclass(frozen=True, slots=True)
class Hog:
    """Processes of one name, the largest first, or a slab cache; or neither: then the kernel itself."""

    processes: tuple[ProcessMemory, ...] = ()
    slab: Slab | None = None

    @property
    def name(self) -> str:
        """What stands for it in the signature."""
        if self.processes:
            return f"largest {without_digits(self.processes[0].name)}"
        return f"slab {self.slab.name}" if self.slab else "kernel"

    @property
    def size_bytes(self) -> int:
        """Memory that processes share counts in each of them."""
        return self.slab.size_bytes if self.slab else _size(self.processes)


def find_memory_hog(memory: Memory | None, lines: list[Line]) -> Hog | None:
    """None if the log does not show the processes."""
    if memory is None or not memory.processes:
        return None
    least_bytes = (memory.total_bytes or 0) / _LEAST_PART
    by_name: dict[str, list[ProcessMemory]] = defaultdict(list)
    for process in memory.processes:
        by_name[without_digits(process.name)].append(process)
    largest = max(by_name.values(), key=_size)
    if _size(largest) >= least_bytes:
        return Hog(processes=tuple(largest))
    slab = largest_slab(lines)
    return Hog(slab=slab if slab and slab.size_bytes >= least_bytes else None)


def _size(processes: Sequence[ProcessMemory]) -> int:
    return sum(each.rss_bytes for each in processes)
