"""Tables of a page: the evidence before the decision, the chain of custody, the cost. Pure."""

import re
from dataclasses import dataclass
from typing import Any

from lambdas.report.facts import Facts
from lambdas.report.text import day_and_clock, exact, file_name, size
from lambdas.runtime import moment
from lambdas.runtime.visible_text import clip

_DAYS_PER_MONTH = 365 / 12
_LONGEST_VALUE = 500
_MOST_ROWS = 60
# isProbeAnswered, lastInterruptEpoch
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# The facts that the rules read, in the rules' order; other facts follow by name.
_EVIDENCE = {
    "isEnrolled": "enrolled by its owner",
    "readyEpoch": "last checked ready for a dump",
    "readyKernel": "kernel at that check",
    "isInstanceKnown": "known to EC2",
    "instanceState": "state of the instance",
    "launchedEpoch": "last start, from EC2",
    "consoleBootedEpoch": "last boot, from the console",
    "consoleKernel": "kernel on the console",
    "isBooting": "is booting",
    "isCrashKernel": "is in the crash kernel",
    "readyConfig": "kdump configuration that was proven",
    "consoleReadyConfig": "kdump configuration of the last boot",
    "consoleLockups": "lockups and stalls on the console",
    "consoleHungTasks": "hung tasks on the console",
    "consoleHungTaskScans": "scans that found hung tasks",
    "consoleTroubleBeganEpoch": "first report of the hang",
    "consoleTroubleEpoch": "last report of the hang",
    "availabilityZone": "Availability Zone",
    "autoScalingGroup": "Auto Scaling group",
    "hypervisor": "hypervisor",
    "architectures": "architecture",
    "systemStatus": "system status check",
    "instanceStatus": "instance status check",
    "attachedEbsStatus": "attached EBS check",
    "impairedEpoch": "instance check fails since",
    "impairedInZone": "impaired together in the zone",
    "unheardInZone": "agents of the zone not heard since the onset",
    "overdueInZone": "of these, those whose ping is due",
    "scheduledEvents": "scheduled events",
    "lastPingEpoch": "agent's last ping",
    "ebsWritesBefore": "EBS writes in five minutes, before",
    "ebsWritesAfter": "EBS writes in five minutes, after the onset",
    "ebsWritesLately": "EBS writes lately, at least",
    "isOutOfCredits": "has no CPU credits",
    "openIncident": "open incident",
    "mute": "alarm is muted",
    "maintenanceWindow": "maintenance window",
    "rivalAlarms": "other alarms that act on the instance",
    "firedRivalAlarms": "other alarms that have fired",
    "isProbeAnswered": "answered the probe",
    "lastInterruptEpoch": "previous interrupt",
    "interruptsInWindow": "interrupts in this window, fleet",
    "interruptsInZone": "interrupts in this window, zone",
    "interruptsInGroup": "interrupts in this window, group",
}


@dataclass(frozen=True)
class Row:
    """One line of a table; `is_code` for a value to copy rather than to read."""

    name: str
    value: str
    is_code: bool = False


def evidence_rows(incident: Facts) -> list[Row]:
    """The incident's `evidence`, known or unknown fields; its notes are shown elsewhere."""
    given = incident.part("evidence").given
    names = [
        *(name for name in _EVIDENCE if name in given),
        *sorted(name for name in map(str, given) if name not in _EVIDENCE),
    ]
    rows = [Row(_label(name), _value(name, given.get(name))) for name in names if name not in ("notes", "nowEpoch")]
    return [row for row in rows if row.value][:_MOST_ROWS]


def custody_rows(incident: Facts) -> list[Row]:
    """The vmcore's origin, size and digest, and where the incident's objects are."""
    vmcore, upload = incident.part("vmcore"), incident.part("upload")
    size_bytes, parts, written = vmcore.whole("sizeBytes"), vmcore.whole("parts"), upload.whole("modifiedEpoch")
    execution = incident.text("executionName")
    rows = [
        Row("Size", f"{exact(size_bytes)} bytes ({size(size_bytes)})" if size_bytes is not None else ""),
        Row("SHA-256, verified by S3", vmcore.text("digest"), is_code=True),
        Row("Parts", f"{exact(parts)}, each with its digest in manifest.json" if parts is not None else ""),
        Row("Path on the instance", upload.text("vmcorePath"), is_code=True),
        Row("Written at", f"{_at(written)} UTC, by the instance's clock" if written else ""),
        Row("Opened as", _opened(incident.part("opened"))),
        Row("Collected by", f"CollectVmcore {execution}" if execution else ""),
        Row("Bucket", incident.text("bucket"), is_code=True),
        *_key_rows(incident.part("keys")),
    ]
    present = [row for row in rows if row.value]
    # The bucket's name alone is no chain of custody.
    return present if len(present) > 1 else []


def _opened(opened: Facts) -> str:
    release, build_id = opened.text("kernelRelease"), opened.text("buildId")
    kernel = f"Linux {release} {opened.text('architecture')}".strip() if release else ""
    return ", ".join(
        each for each in (opened.text("format"), kernel, f"build id {build_id}" if build_id else "") if each
    )


def _key_rows(keys: Facts) -> list[Row]:
    others = sorted(keys.text(str(name)) for name in keys.given if name != "vmcore" and keys.text(str(name)))
    beside = clip(", ".join(file_name(key) for key in others), _LONGEST_VALUE)
    if vmcore := keys.text("vmcore"):
        return [Row("Key", vmcore, is_code=True), Row("Other objects", beside)]
    return [Row("Prefix", f"{others[0].rpartition('/')[0]}/", is_code=True), Row("Objects", beside)] if others else []


def cost_rows(incident: Facts, *, retention_days: int | None) -> list[Row]:
    """Quantities instead of money: prices differ by Region and change."""
    rows = []
    size_bytes = incident.part("vmcore").number("sizeBytes")
    if size_bytes:
        gigabytes = size_bytes / 1e9
        if retention_days:
            months = retention_days / _DAYS_PER_MONTH
            rows.append(
                Row(
                    "S3 Standard",
                    f"{_amount(gigabytes * months)} GB-months: {_amount(gigabytes)} GB for {retention_days} days",
                )
            )
        else:
            rows.append(Row("S3 Standard", f"{_amount(gigabytes)} GB-months per month"))
        if (parts := incident.part("vmcore").whole("parts")) is not None:
            rows.append(Row("S3 requests", f"{exact(parts + 2)} PUT requests for the parts"))
        rows.append(Row("Data transfer", "free, from an instance to S3 in its Region"))
    return rows


def notes(incident: Facts) -> list[str]:
    """The notes on the evidence."""
    return [clip(note, _LONGEST_VALUE) for note in incident.part("evidence").texts("notes")][:_MOST_ROWS]


def _amount(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}".replace(",", "\u202f")


def _label(name: str) -> str:
    if name in _EVIDENCE:
        return _EVIDENCE[name]
    words = _CAPITAL.sub(" ", clip(name, 60)).lower()
    return words.removeprefix("is ")


def _value(name: str, value: Any) -> str:
    if name.endswith("Epoch") and isinstance(value, int):
        return f"{_at(value)} UTC" if value else "never"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return clip(", ".join(_value("", each) for each in value[:_MOST_ROWS]), _LONGEST_VALUE)
    if isinstance(value, dict):
        return clip(
            ", ".join(f"{each}: {_value('', value[each])}" for each in list(value)[:_MOST_ROWS]), _LONGEST_VALUE
        )
    return "" if value is None else clip(str(value), _LONGEST_VALUE)


def _at(epoch: int) -> str:
    try:
        return day_and_clock(moment.at_epoch(epoch))
    except (OverflowError, OSError, ValueError):
        return str(epoch)
