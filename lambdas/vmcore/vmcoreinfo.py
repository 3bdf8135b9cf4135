"""VMCOREINFO: what a dying kernel says of itself, in lines of key=value. Pure.

`OSRELEASE=6.1.0-28`, `SYMBOL(prb)=ffffffff82a6c7e0`, `NUMBER(phys_base)=-1234`, `OFFSET(prb_desc.state_var)=0`.
"""

from lambdas.runtime.errors import VmcoreUnreadable


class Vmcoreinfo:
    """What it says, by name."""

    def __init__(self, text: str) -> None:
        self._told = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    @property
    def release(self) -> str:
        """6.1.0-28-cloud-amd64; raises VmcoreUnreadable when it names none, as it always does."""
        if not self._told.get("OSRELEASE"):
            raise VmcoreUnreadable("Its VMCOREINFO names no kernel.")
        return self._told["OSRELEASE"]

    @property
    def build_id(self) -> str:
        """Lower-case hex; "" before Linux 5.9."""
        return self._told.get("BUILD-ID", "").lower()

    @property
    def kaslr_offset(self) -> int | None:
        """How far the kernel was moved; None when it does not say."""
        return _number(self._told.get("KERNELOFFSET"), 16)

    def symbol(self, name: str) -> int | None:
        """A virtual address."""
        return _number(self._told.get(f"SYMBOL({name})"), 16)

    def number(self, name: str) -> int | None:
        """Decimal, or hex with 0x, as the kernel wrote it."""
        return _number(self._told.get(f"NUMBER({name})"), 0)

    def size(self, name: str) -> int:
        """Of a structure; raises KeyError."""
        return int(self._told[f"SIZE({name})"])

    def offset(self, name: str) -> int:
        """Of a member; raises KeyError."""
        return int(self._told[f"OFFSET({name})"])


def _number(text: str | None, base: int) -> int | None:
    try:
        return None if text is None else int(text, base)
    except ValueError:
        return None
