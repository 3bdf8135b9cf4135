"""The size of a new dump volume: a multiple of memory, or of what a dump would keep now. Pure.

The command line tells it before the volume is made.
"""

import math

from lambdas.runtime.stack_parameter import DumpVolumeSizing

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
