"""What a kernel reserves for crashkernel= (Documentation/admin-guide/kdump/kdump.rst), for the fake root."""

_SHIFT = {"K": 10, "M": 20, "G": 30, "T": 40}
_ROUND = 128 << 20


def _bytes(size: str) -> int:
    """lib/cmdline.c, memparse(): either case; 0x is hexadecimal, 0 octal."""
    number, shift = (size[:-1], _SHIFT[size[-1].upper()]) if size[-1].upper() in _SHIFT else (size, 0)
    is_octal = number.startswith("0") and number.isdigit() and number != "0"
    return int(number, 8 if is_octal else 0) << shift


def reserved_mib(cmdline: str, memory_mib: int) -> int:
    """MiB that kexec_crash_size shows; the last crashkernel= wins, of a pair the part above 4 GiB counts."""
    values = [word.removeprefix("crashkernel=") for word in cmdline.split() if word.startswith("crashkernel=")]
    values = [value for value in values if not value.endswith(",low")]
    if not values:
        return 0
    value = values[-1].split("@")[0].removesuffix(",high")
    if ":" not in value:
        return _bytes(value) >> 20
    memory = -(-(memory_mib << 20) // _ROUND) * _ROUND
    for entry in value.split(","):
        limits, size = entry.split(":")
        start, end = limits.split("-")
        if _bytes(start) <= memory and (not end or memory < _bytes(end)):
            return _bytes(size) >> 20
    return 0
