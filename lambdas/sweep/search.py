"""Runs every search, one after the other. A failed search is reported and does not stop the others."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from lambdas.runtime.observability import logger
from lambdas.sweep.case import Case, Policy
from lambdas.sweep.check_instances import check_instances, find_fleet
from lambdas.sweep.find_combinations import find_combinations
from lambdas.sweep.find_incidents import (
    find_in_standby,
    find_running,
    find_running_twins,
    find_unfinished,
    read_incidents,
)
from lambdas.sweep.find_left_behind import (
    find_alarms,
    find_dump_volumes,
    find_parked,
    find_parked_snapshots,
    find_short_lived,
    find_short_lived_volumes,
    find_snapshots,
    find_states,
    find_unparked,
    find_uploads,
)
from lambdas.sweep.find_orphans import find_orphans
from lambdas.sweep.found import Found, IncidentFacts, Orphan, Volume
from lambdas.sweep.time_left import TimeLeft

Result = TypeVar("Result")


class Search:
    """The searches; `failures` describes those that failed."""

    def __init__(self, time_left: TimeLeft, *, now: datetime, policy: Policy) -> None:
        self._time_left = time_left
        self._now = now
        self._policy = policy
        self.failures: list[str] = []

    def everything(self) -> Found:
        """Runs the cheap searches first; the checks on the instances get the time that is left."""
        left = self._time_left
        volumes = self._attempt("dump volumes", lambda: find_dump_volumes(left)) or ()
        copies = self._attempt("copies", lambda: find_short_lived_volumes(left)) or ()
        snapshots = self._attempt("snapshots", lambda: find_snapshots(left)) or ()
        parked_snapshots = self._attempt("parked dump volumes", lambda: find_parked_snapshots(left)) or ()
        short_lived = self._attempt("short-lived instances", lambda: find_short_lived(left)) or ()
        uploads = self._attempt("uploads", lambda: find_uploads(left)) or ()
        alarms = self._attempt("alarms", lambda: find_alarms(left)) or ()
        owners = [
            *(volume.instance_id for volume in volumes),
            *(upload.instance_id for upload in uploads),
            *(snapshot.instance_id for snapshot in parked_snapshots),
            *(alarm.instance_id for alarm in alarms),
        ]
        instances = self._attempt("instances", lambda: find_states(owners, left)) or {}
        orphans = self._attempt("orphaned volumes", lambda: self._orphans(volumes, instances)) or {}
        of_incidents = [
            *(orphan.incident_id for orphan in orphans.values() if orphan is not None),
            *(volume.incident_id for volume in copies),
            *(snapshot.incident_id for snapshot in snapshots),
            *(instance.incident_id for instance in short_lived),
            *(upload.incident_id for upload in uploads),
        ]
        running = self._attempt("executions", find_running)
        # Without them no twin can be judged. An incident is not reopened by its analysis.
        twins = self._attempt("analyses and drills", find_running_twins) if running is not None else None
        # Without the running executions no incident can be judged.
        incidents = (
            self._attempt("incidents", lambda: self._incidents(of_incidents, running))
            if running is not None and twins is not None
            else None
        )
        are_incidents_known = incidents is not None and not left.is_over
        standby = self._attempt("standby", lambda: find_in_standby(incidents or {}, left)) or ()
        busy = {each.instance_id for each in (incidents or {}).values() if each is not None and each.is_running}
        combinations = self._attempt("drills", find_combinations) if self._policy.drills else ()
        fleet = self._attempt("enrolled instances", lambda: find_fleet(left))
        parkers = [*(fleet or {}), *(snapshot.instance_id for snapshot in parked_snapshots)]
        parked = self._attempt("records of parked dump volumes", lambda: find_parked(parkers, left)) or {}
        unparked = self._attempt("lost parked volumes", lambda: find_unparked(parked, parked_snapshots, left))
        ready = [instance_id for instance_id, is_marked in (fleet or {}).items() if is_marked]
        checked = (
            (self._attempt("checks", lambda: check_instances(ready, busy, left)) or ()) if incidents is not None else ()
        )
        return Found(
            volumes=(*volumes, *copies),
            snapshots=snapshots,
            parked_snapshots=parked_snapshots,
            parked=parked,
            unparked=unparked or frozenset(),
            short_lived=short_lived,
            uploads=uploads,
            alarms=alarms,
            in_standby=standby,
            checked=checked,
            fleet=fleet,
            instances=instances,
            incidents=incidents or {},
            are_incidents_known=are_incidents_known,
            orphans=orphans,
            combinations=combinations or (),
            running=(running or frozenset()) | (twins or frozenset()),
        )

    def _orphans(self, volumes: Sequence[Volume], instances: Mapping[str, str]) -> dict[str, Orphan | None]:
        """Nothing but a report is made of those without instance, unless rescues are allowed."""
        if not self._policy.orphan_rescues:
            return {}
        case = Case(Found(instances=instances), self._now, self._policy)
        return find_orphans([each for each in volumes if case.is_orphaned(each)], self._time_left)

    def _incidents(self, incident_ids: list[str], running: frozenset[str]) -> dict[str, IncidentFacts | None]:
        return {
            **read_incidents(incident_ids, running, self._time_left),
            **find_unfinished(running, self._time_left, removed_since=self._now - self._policy.interval),
        }

    def _attempt(self, kind: str, search: Callable[[], Result]) -> Result | None:
        try:
            return search()
        except (ClientError, BotoCoreError, ValidationError, ValueError) as error:
            logger.warning("The search for %s failed: %s", kind, error)
            self.failures.append(f"{kind}: {error}")
            return None
