"""Finds the combinations of image, type family, kernel and settings in the fleet, and when each was drilled."""

from lambdas.drill.proof import BEGUN_AT, read_proofs
from lambdas.fleet.row import FleetRow, Status
from lambdas.fleet.table import scan_rows
from lambdas.incident.drill_keys import proof_key
from lambdas.runtime.environment import FleetTable, RecordKeeping
from lambdas.sweep.found import Combination


def find_combinations() -> tuple[Combination, ...]:
    """Of the ready instances. Raises ClientError."""
    newest: dict[str, FleetRow] = {}
    for row in scan_rows(FleetTable.read().fleet_table_name).values():
        if row.status is Status.READY and row.image_id and row.kernel and row.configuration_id:
            key = proof_key(
                image_id=row.image_id,
                instance_type=row.instance_type,
                kernel=row.kernel,
                configuration_id=row.configuration_id,
            )
            newest[key] = max(row, newest.get(key, row), key=lambda each: (each.since, each.instance_id))
    items = read_proofs(RecordKeeping.read().table_name, newest)
    return tuple(
        Combination(
            key=key,
            instance_id=row.instance_id,
            since=row.since,
            proven_at=str(items.get(key, {}).get("provenAt", "")),
            begun_at=str(items.get(key, {}).get(BEGUN_AT, "")),
        )
        for key, row in newest.items()
    )
