"""VMCOREINFO: the crashed kernel's description of itself, in lines of key=value. Pure.

`OSRELEASE=6.1.0-28`, `SYMBOL(prb)=ffffffff82a6c7e0`, `NUMBER(phys_base)=-1234`, `OFFSET(prb_desc.state_var)=0`.
"""

from lambdas.runtime.errors import VmcoreUnreadable


class Vmcoreinfo:
    """The fields by name."""

    def __init__(self, text: str) -> None:
        self._fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    @property
    def release(self) -> str:
        """6.1.0-28-cloud-amd64; raises VmcoreUnreadable if it is missing, because every kernel writes it."""
        if not self._fields.get("OSRELEASE"):
            raise VmcoreUnreadable("The dump's VMCOREINFO names no kernel.")
        return self._fields["OSRELEASE"]

    @property
    def build_id(self) -> str:
        """Lower-case hex; "" before Linux 5.9."""
        return self._fields.get("BUILD-ID", "").lower()

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
        """The size of a structure; raises KeyError."""
        return int(self._fields[f"SIZE({name})"])

    def offset(self, name: str) -> int:
        """The offset of a member; raises KeyError."""
        return int(self._fields[f"OFFSET({name})"])


def _number(text: str | None, base: int) -> int | None:
    try:
        return None if text is None else int(text, base)
    except ValueError:
        return None
