"""Reads the records of dump volumes whose instance is gone, and the last row of that instance in the fleet table."""

from collections.abc import Iterable

from lambdas.fleet.row import FleetRow, Status
from lambdas.fleet.table import read_instance_row
from lambdas.provision.volume_record import read_volume_record
from lambdas.runtime.environment import FleetTable, RecordKeeping
from lambdas.sweep.found import Orphan, Volume
from lambdas.sweep.time_left import TimeLeft

_GONE_WITH_ITS_INSTANCE = "instance-terminated"


def find_orphans(volumes: Iterable[Volume], time_left: TimeLeft) -> dict[str, Orphan | None]:
    """By volume; None: ProvisionDumpVolume did not create it for that instance. Those without time are absent."""
    records, fleet = RecordKeeping.read().table_name, FleetTable.read().fleet_table_name
    found: dict[str, Orphan | None] = {}
    # The oldest first: they are the first to be read.
    for volume in time_left.pages("records of orphaned volumes", sorted(volumes, key=lambda each: each.created_at)):
        record = read_volume_record(records, volume.volume_id)
        if record is None or record.instance_id != volume.instance_id:
            found[volume.volume_id] = None
            continue
        row = read_instance_row(fleet, volume.instance_id)
        found[volume.volume_id] = Orphan(
            group=record.group or (row.group if row else ""),
            has_opted_out=row is not None and _has_opted_out(row),
            attempts=record.attempts,
            tried_at=record.tried_at,
            incident_id=record.incident_id,
        )
    return found


def _has_opted_out(row: FleetRow) -> bool:
    """Whether its owner took the tag away, or changed it, before the instance was terminated. In doubt: yes."""
    codes = {reason.code for reason in row.reasons}
    is_retired = row.status in (Status.RETIRING, Status.RETIRED)
    return "wrong-tag-value" in codes or (is_retired and _GONE_WITH_ITS_INSTANCE not in codes)
