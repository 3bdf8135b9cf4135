"""What drills have proven: reads the proof for an instance's image, type family, kernel and settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hangdump_cli.aws import Aws
from hangdump_cli.instances import Instance
from hangdump_cli.items import plain
from hangdump_cli.stack import Stack
from lambdas.fleet.row import FleetRow
from lambdas.incident.drill_keys import proof_key
from lambdas.runtime import moment
from lambdas.runtime.stack_parameter import Output


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A drill whose dump came home; `seconds` by phase."""

    proven_at: datetime
    incident_id: str = ""
    hang: str = ""
    verdict: str = ""
    vmcore_bytes: int = 0
    # What the drill used at most; 0: not known.
    instance_seconds: int = 0
    volume_gib_seconds: int = 0
    seconds: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {
            "provenAt": self.proven_at,
            "incidentId": self.incident_id,
            "hang": self.hang,
            "verdict": self.verdict,
            "vmcoreBytes": self.vmcore_bytes,
            "instanceSeconds": self.instance_seconds,
            "volumeGibSeconds": self.volume_gib_seconds,
            "seconds": dict(self.seconds),
        }


def can_be_known(instance: Instance, row: FleetRow | None) -> bool:
    """Whether the kernel and the settings are known, without which no proof can be found."""
    return bool(instance.image_id and instance.kernel and row and row.configuration_id)


def read_proof(aws: Aws, stack: Stack, instance: Instance, row: FleetRow | None) -> Proof | None:
    """None: never proven, or not known for what."""
    if row is None or not can_be_known(instance, row):
        return None
    key = proof_key(
        image_id=instance.image_id,
        instance_type=instance.instance_type,
        kernel=instance.kernel,
        configuration_id=row.configuration_id,
    )
    table = stack[Output.INCIDENT_TABLE]
    item = aws.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": key}}).get("Item")
    values = plain(item) if item else {}
    # Of a drill that a sweep began and that proved nothing, or runs, the item has no more than that.
    if "provenAt" not in values:
        return None
    return Proof(
        proven_at=moment.parse(values["provenAt"]),
        incident_id=str(values.get("incidentId", "")),
        hang=str(values.get("hang", "")),
        verdict=str(values.get("verdict", "")),
        vmcore_bytes=int(values.get("vmcoreBytes", 0)),
        instance_seconds=int(values.get("instanceSeconds", 0)),
        volume_gib_seconds=int(values.get("volumeGibSeconds", 0)),
        seconds=values.get("seconds") or {},
    )
