"""Where a kernel's addresses are in memory."""

import pytest

from lambdas.vmcore.budget import Budget
from lambdas.vmcore.kernel_memory import KernelMemory, MemoryUnreadable
from lambdas.vmcore.vmcoreinfo import Vmcoreinfo

# Of a kernel of 52 bits on a processor of 48, as Debian 13 builds it for Graviton; the other kernels have 48 bits.
WIDE = """NUMBER(VA_BITS)=52
NUMBER(PHYS_OFFSET)=0xfff1000000000000
NUMBER(kimage_voffset)=0xffff7fffc0000000
SYMBOL(_stext)=ffff800080010000
"""
NARROW = """NUMBER(VA_BITS)=48
NUMBER(PHYS_OFFSET)=0x40000000
NUMBER(kimage_voffset)=0xffff7fffc0000000
SYMBOL(_stext)=ffff800080010000
"""
# Linux before 5.4: the image is in the lower half.
OLD = """NUMBER(VA_BITS)=48
NUMBER(PHYS_OFFSET)=0x40000000
NUMBER(kimage_voffset)=0xfffeffffc8000000
SYMBOL(_stext)=ffff000008081000
"""


class Dump:
    """Tells where it is read."""

    machine = "aarch64"

    def __init__(self) -> None:
        self.budget = Budget()
        self.asked: list[int] = []

    def read_physical(self, address: int, size: int) -> bytes:
        self.asked.append(address)
        return bytes(size)


@pytest.mark.parametrize(
    ("info", "address", "physical"),
    [
        pytest.param(WIDE, 0xFFFF00007F2D02D0, 0x7F2D02D0, id="a-buffer-of-the-boot-in-52-bits"),
        pytest.param(WIDE, 0xFFFF800080010000, 0xC0010000, id="the-image-in-52-bits"),
        pytest.param(NARROW, 0xFFFF00003F2D02D0, 0x7F2D02D0, id="a-buffer-of-the-boot"),
        pytest.param(NARROW, 0xFFFF800080010000, 0xC0010000, id="the-image"),
        pytest.param(OLD, 0xFFFF80003F2D02D0, 0x7F2D02D0, id="a-buffer-of-an-old-kernel"),
        pytest.param(OLD, 0xFFFF000008081000, 0x40081000, id="the-image-of-an-old-kernel"),
    ],
)
def test_arm64_memory_is_read_where_it_lies(info: str, address: int, physical: int) -> None:
    dump = Dump()
    KernelMemory(dump, Vmcoreinfo(info)).read(address, 8)
    assert dump.asked == [physical]


def test_an_address_below_all_memory_is_unreadable() -> None:
    with pytest.raises(MemoryUnreadable):
        KernelMemory(Dump(), Vmcoreinfo(NARROW)).read(0x1000, 8)
