"""The budget for opening one dump. A dump can be made to cost gigabytes or hours; an honest one stays far below."""

from collections.abc import Mapping
from enum import StrEnum

from lambdas.runtime.errors import VmcoreUnreadable

_MIB = 1024**2


class Cost(StrEnum):
    """What a budget counts."""

    REQUESTS = "requests for ranges"
    PIECES = "pieces of a flattened file"
    PARTS = "further parts of ranges"
    CANDIDATES = "places where a piece of a flattened file might begin"
    LOOKUPS = "lookups of virtual addresses"
    RECORDS = "records of the kernel's log"
    UNPACKED_BYTES = "unpacked bytes"


# open_vmcore has 300 s, and a request takes some 30 ms. The bitmap of 24 TiB of memory takes 1,536 requests.
MOST: Mapping[Cost, int] = {
    Cost.REQUESTS: 6_000,
    Cost.PIECES: 300_000,
    # Segments of an ELF file, or pieces of a flattened one, that a range lies in. An honest range has two at most.
    Cost.PARTS: 2_000_000,
    Cost.CANDIDATES: 2_000_000,
    Cost.LOOKUPS: 400_000,
    # The largest log that is read holds a million lines of 48 characters.
    Cost.RECORDS: 2_000_000,
    # LZO in Python unpacks 4 MiB a second; the largest log that is read has 64 MiB.
    Cost.UNPACKED_BYTES: 128 * _MIB,
}


class BudgetSpent(VmcoreUnreadable):
    """The dump costs more than it may. open_dump names it, and raises VmcoreUnreadable where nothing opens without."""


class Budget:
    """Counts what one dump costs."""

    def __init__(self, most: Mapping[Cost, int] | None = None) -> None:
        self._most = {**MOST, **(most or {})}
        self._left = dict(self._most)

    def spend(self, cost: Cost, amount: int = 1) -> None:
        """Raises BudgetSpent, which names the cost and its limit."""
        self._left[cost] -= amount
        if self._left[cost] < 0:
            raise BudgetSpent(f"Reading it takes more than {self._most[cost]} {cost}.")
