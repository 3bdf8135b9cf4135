"""A fleet to draw: most are ready, and of each other status there is one."""

from typing import Any

from lambdas.fleet.row import FleetRow, Reason, Status

_SINCE = "2026-11-30T08:45:12+00:00"


def row(number: int, status: Status, *reasons: Reason, **fields: Any) -> FleetRow:
    """An instance of the fleet."""
    return FleetRow(instance_id=f"i-0{number:016x}", status=status, reasons=reasons, since=_SINCE, **fields)


_MIRROR = Reason(
    code="PackageUnavailable",
    observed="kdump-tools could not be installed: E: Unable to locate package kdump-tools",
    remedy="Give the instance a repository that has it, or install it in its image, and run again.",
)
_REBOOT = Reason(
    code="reboot-required",
    observed="The crash kernel's memory is reserved at boot.",
    remedy="Reboot it when it suits you.",
)
MIXED = [
    *(row(number, Status.READY, kernel="6.1.0-28-cloud-amd64") for number in range(40)),
    row(100, Status.FAILED, _MIRROR, group="web"),
    row(101, Status.REBOOT_REQUIRED, _REBOOT, group="a-group-with-a-long-name-that-wraps-on-a-phone"),
    row(102, Status.UNSUPPORTED, Reason(code="UnsupportedHypervisor", observed="t2.micro is a Xen type.")),
    row(103, Status.DRIFTED, Reason(code="drifted", severity="note", observed="The stack's settings have changed.")),
    row(104, Status.RETIRED, Reason(code="tag-removed", severity="note", observed="The tag was removed.")),
    row(105, Status.NOT_READY, Reason(code="hostile", observed="<script>alert(1)</script> \u202e" + "x" * 300)),
]
