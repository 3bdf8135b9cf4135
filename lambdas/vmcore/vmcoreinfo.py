"""VMCOREINFO: the crashed kernel's description of itself, in lines of key=value. Pure.

`OSRELEASE=6.1.0-28`, `SYMBOL(prb)=ffffffff82a6c7e0`, `NUMBER(phys_base)=-1234`, `OFFSET(prb_desc.state_var)=0`.
"""

from lambdas.runtime.errors import VmcoreUnreadable
from lambdas.runtime.visible_text import one_line

# The kernel has room for a page of 4 to 64 KiB.
_LONGEST_TEXT = 1024**2
# utsname has 65 bytes, a build id 40 digits.
_LONGEST_RELEASE, _LONGEST_BUILD_ID = 128, 64
_LONGEST_NUMBER = 100
# The structures that are read have some hundred bytes at most.
_LARGEST_STRUCTURE = 4096


class Vmcoreinfo:
    """The fields by name."""

    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST_TEXT:
            raise VmcoreUnreadable(f"The dump is damaged: its VMCOREINFO has more than {_LONGEST_TEXT} characters.")
        self._fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    @property
    def release(self) -> str:
        """6.1.0-28-cloud-amd64; raises VmcoreUnreadable if it is missing, because every kernel writes it."""
        if not self._fields.get("OSRELEASE"):
            raise VmcoreUnreadable("The dump's VMCOREINFO names no kernel.")
        return one_line(self._fields["OSRELEASE"], _LONGEST_RELEASE)

    @property
    def build_id(self) -> str:
        """Lower-case hex; "" before Linux 5.9."""
        return one_line(self._fields.get("BUILD-ID", "").lower(), _LONGEST_BUILD_ID)

    @property
    def kaslr_offset(self) -> int | None:
        """The KASLR offset of the kernel; None: unknown."""
        return _number(self._fields.get("KERNELOFFSET"), 16)

    def symbol(self, name: str) -> int | None:
        """The virtual address of a symbol."""
        return _number(self._fields.get(f"SYMBOL({name})"), 16)

    def number(self, name: str) -> int | None:
        """Decimal, or hex with 0x, as the kernel wrote it."""
        return _number(self._fields.get(f"NUMBER({name})"), 0)

    def size(self, name: str) -> int:
        """The size of a structure; raises KeyError, or ValueError if no structure of the kernel is that large."""
        return self._bounded(f"SIZE({name})")

    def offset(self, name: str) -> int:
        """The offset of a member; raises KeyError or ValueError."""
        return self._bounded(f"OFFSET({name})")

    def _bounded(self, key: str) -> int:
        value = int(self._fields[key])
        if not 0 <= value <= _LARGEST_STRUCTURE:
            raise ValueError(f"{key} is impossible")
        return value


def _number(text: str | None, base: int) -> int | None:
    """None also for a number of more than 64 bits."""
    try:
        value = None if text is None else int(text[:_LONGEST_NUMBER], base)
    except ValueError:
        return None
    return value if value is None or abs(value) < 1 << 64 else None
