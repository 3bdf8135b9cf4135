"""Reads a dump's memory by the kernel's virtual addresses. VMCOREINFO suffices for the translation; no symbols."""

from collections.abc import Callable
from typing import Protocol

from lambdas.vmcore.budget import Budget, Cost
from lambdas.vmcore.vmcoreinfo import Vmcoreinfo

_KERNEL_MAP = 0xFFFFFFFF80000000
_ADDRESS_BITS = 0x000FFFFFFFFFF000
_PRESENT, _IS_LARGE = 0x01, 0x80
_TOP = 1 << 64
# No buffer that is read is larger: a longer length is damaged.
MOST_BYTES = 64 * 1024**2


class MemoryUnreadable(Exception):
    """The kernel's memory was not found in the dump. The dump may still be good."""


class PhysicalMemory(Protocol):
    """The interface of each dump format."""

    machine: str
    budget: Budget

    def read_physical(self, address: int, size: int) -> bytes:
        """Reads `size` bytes; raises VmcoreUnreadable if the dump is damaged."""
        ...


class KernelMemory:
    """Reads virtual addresses. Raises MemoryUnreadable if an address is not mapped."""

    def __init__(self, dump: PhysicalMemory, info: Vmcoreinfo, *, phys_base: int = 0) -> None:
        self._dump = dump
        self.budget = dump.budget
        if dump.machine == "x86_64":
            self._translate: Callable[[int], tuple[int, int]] = _X86(dump, info, phys_base).translate
        elif dump.machine == "aarch64":
            self._translate = _Arm64(info).translate
        else:
            raise MemoryUnreadable(f"the architecture {dump.machine or '(unknown)'} is not supported")

    def read(self, address: int, size: int) -> bytes:
        """Reads `size` bytes across pages."""
        if not 0 <= size <= MOST_BYTES:
            raise MemoryUnreadable(f"{size} bytes at {address:#x} is an impossible length")
        out = bytearray()
        while len(out) < size:
            self._dump.budget.spend(Cost.LOOKUPS)
            physical, left = self._translate(address + len(out))
            out += self._dump.read_physical(physical, min(left, size - len(out)))
        return bytes(out)

    def number(self, address: int, size: int = 8) -> int:
        """An unsigned number."""
        return int.from_bytes(self.read(address, size), "little")


class _X86:
    """Translates with the kernel's page tables; the top one is in the kernel's image."""

    def __init__(self, dump: PhysicalMemory, info: Vmcoreinfo, phys_base: int) -> None:
        self._dump = dump
        noted = info.number("phys_base")
        self._phys_base = phys_base if noted is None else noted
        # Memory encryption sets a bit of each entry.
        self._address_bits = _ADDRESS_BITS & ~(info.number("sme_mask") or 0)
        top = info.symbol("swapper_pg_dir")
        if top is None:
            raise MemoryUnreadable("VMCOREINFO does not say where the page tables are")
        self._table = top - _KERNEL_MAP + self._phys_base
        self._levels = 5 if info.number("pgtable_l5_enabled") else 4

    def translate(self, address: int) -> tuple[int, int]:
        """The physical address, and how many bytes follow there."""
        table = self._table
        for level in range(self._levels, 0, -1):
            shift = 12 + 9 * (level - 1)
            place = table + 8 * (address >> shift & 0x1FF)
            if place < 0:
                raise MemoryUnreadable("the page tables have an impossible address")
            entry = int.from_bytes(self._dump.read_physical(place, 8), "little")
            if not entry & _PRESENT:
                raise MemoryUnreadable(f"there is no memory at {address:#x}")
            span = 1 << shift
            if level == 1 or (level < 4 and entry & _IS_LARGE):
                begin = entry & self._address_bits & ~(span - 1)
                return begin + (address & span - 1), span - (address & span - 1)
            table = entry & self._address_bits
        raise MemoryUnreadable(f"there is no memory at {address:#x}")


class _Arm64:
    """Translates with the two maps that hold logs: the kernel's image, and the linear map in the other half."""

    def __init__(self, info: Vmcoreinfo) -> None:
        bits, offset, begin = (info.number(each) for each in ("VA_BITS", "kimage_voffset", "PHYS_OFFSET"))
        image = info.symbol("_stext") or info.symbol("swapper_pg_dir")
        if bits is None or offset is None or begin is None or image is None or not 36 <= bits <= 52:
            raise MemoryUnreadable("VMCOREINFO does not say where arm64 has its memory")
        self._image_offset, self._memory_begin = offset, begin
        # Linux 5.4 swapped the halves. A kernel of 52 bits runs on a processor of 48 as well: there, only the upper
        # half of 48 bits is not of the linear map, which begins where it would with 52.
        half = 1 << (bits - 1)
        is_image_above = image >= _TOP - half
        self._linear = _TOP - 2 * half if is_image_above else _TOP - half
        self._linear_end = _TOP - (1 << (min(bits, 48) - 1)) if is_image_above else _TOP

    def translate(self, address: int) -> tuple[int, int]:
        """The physical address, and how many bytes may follow there."""
        if self._linear <= address < self._linear_end:
            # PHYS_OFFSET can be below 0: where the linear map would begin.
            physical = (address - self._linear + self._memory_begin) % _TOP
        else:
            physical = address - self._image_offset
        if physical < 0:
            raise MemoryUnreadable(f"there is no memory at {address:#x}")
        return physical, 1 << 30
