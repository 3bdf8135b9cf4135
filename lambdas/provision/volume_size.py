"""The size of a new dump volume: a multiple of memory, or of what a dump would keep now. Pure.

The command line tells it before the volume is made.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

from lambdas.runtime.stack_parameter import DumpVolumePlace, DumpVolumeSizing

# A crash kernel needs an instance of 1 GiB or more.
LEAST_MEMORY_MIB = 1024
_USER_PAGES = 8
# check_kdump requires a quarter of memory to be free, and a file system takes a part of the volume itself. An instance
# is provisioned soon after its boot; what its kernel keeps grows later.
_LEAST_SHARE_OF_MEMORY = 0.3


def plan_size_gib(
    memory_mib: int,
    *,
    sizing: DumpVolumeSizing,
    factor: float,
    minimum_gib: int,
    dump_level: int,
    expected_dump_bytes: int = 0,
) -> int:
    """Whole GiB, rounded up: `factor` times memory, or times the expected dump."""
    memory_gib = memory_mib / 1024
    if sizing == "measured":
        # The processes may fill all memory later.
        least_share = _LEAST_SHARE_OF_MEMORY if dump_level & _USER_PAGES else 1
        needed = max(least_share * memory_gib, factor * expected_dump_bytes / 1024**3)
    else:
        needed = factor * memory_gib
    return max(minimum_gib, math.ceil(needed))


@dataclass(frozen=True)
class VolumeWish:
    """What is wanted of an instance's dump volume. size_gib None: its size follows from the sizing."""

    dump_volume: DumpVolumePlace
    dump_volume_sizing: DumpVolumeSizing
    dump_size_factor: float
    size_gib: int | None

    @classmethod
    def of(cls, *choices: Any) -> Self:
        """Each by the first of them that sets it; the last are the stack's settings, which set all but the size."""

        def first(name: str) -> Any:
            return next((value for each in choices if (value := getattr(each, name, None)) is not None), None)

        return cls(
            dump_volume=first("dump_volume"),
            dump_volume_sizing=first("dump_volume_sizing"),
            dump_size_factor=first("dump_size_factor"),
            size_gib=first("size_gib"),
        )

    def gib(self, memory_mib: int, *, minimum_gib: int, dump_level: int, expected_dump_bytes: int) -> int:
        """The size of a new volume."""
        return self.size_gib or plan_size_gib(
            memory_mib,
            sizing=self.dump_volume_sizing,
            factor=self.dump_size_factor,
            minimum_gib=minimum_gib,
            dump_level=dump_level,
            expected_dump_bytes=expected_dump_bytes,
        )
