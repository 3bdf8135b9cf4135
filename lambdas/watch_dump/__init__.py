"""One look at an instance that was interrupted: is it dumping, back, unharmed, off, or out of time?

Owns the order in which evidence counts. Progress on the console is read in read_progress.py; only a boot that is later
than the interrupt, seen by an active probe, proves that the instance is back.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from lambdas import moment
from lambdas.environment import Probe, RecordKeeping
from lambdas.errors import InvalidInput
from lambdas.incident import Incident, timeline_entry
from lambdas.incident_table import IncidentTable
from lambdas.instance_facts import read_console, read_instance, read_ping
from lambdas.observability import entry_point, logger
from lambdas.run_command import probe
from lambdas.watch_dump.read_progress import Progress, read_progress

_OFF = ("stopped", "shutting-down", "terminated")


@dataclass(frozen=True)
class Look:
    """waiting, crash-kernel, dumping and saved go on; online, no-panic, stopped and timed-out end the watch."""

    phase: str
    detail: str
    progress: int | None = None
    saw_crash_kernel: bool = False

    def as_json(self) -> dict[str, Any]:
        """The function's result."""
        look = {"phase": self.phase, "detail": self.detail, "sawCrashKernel": self.saw_crash_kernel}
        return look | ({} if self.progress is None else {"progress": self.progress})


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"incidentId","instanceId"}`, gives `{"phase","detail","sawCrashKernel","progress"?}`."""
    records = IncidentTable(RecordKeeping.read().table_name)
    incident = records.read(event["incidentId"])
    if incident is None:
        raise InvalidInput(f"No incident {event['incidentId']} in the table.", "Start CollectVmcore instead.")
    look = _look(incident)
    if look.phase != incident.last_phase:
        logger.info("%s: %s", look.phase, look.detail)
        entry = timeline_entry(moment.now(), look.phase, look.detail)
        records.update(incident.incident_id, {"lastPhase": look.phase}, timeline=[entry])
    return look.as_json()


def _look(incident: Incident) -> Look:
    instance = read_instance(incident.instance_id)
    state = instance.state if instance else "terminated"
    console = _read_progress(incident)
    saw = console.saw_crash_kernel
    if state in _OFF:
        return Look("stopped", f"{incident.instance_id} is {state}. {console.detail}", saw_crash_kernel=saw)
    back = _look_inside(incident)
    if back is not None:
        phase, detail = back
        return Look(phase, detail, saw_crash_kernel=saw)
    if incident.dump_deadline_epoch is not None and moment.epoch(moment.now()) > incident.dump_deadline_epoch:
        detail = f"{incident.instance_id} did not come back in time. {console.detail}"
        return Look("timed-out", detail, saw_crash_kernel=saw)
    return Look(console.phase, console.detail, console.percent, saw)


def _read_progress(incident: Incident) -> Progress:
    try:
        return read_progress(read_console(incident.instance_id), baseline=incident.console_baseline)
    except (ClientError, BotoCoreError) as error:
        return Progress("waiting", f"The console cannot be read: {error}.")


def _look_inside(incident: Incident) -> tuple[str, str] | None:
    """online or no-panic, once the agent has pinged since the interrupt and executes the probe; else None."""
    try:
        ping = read_ping(incident.instance_id)
    except (ClientError, BotoCoreError) as error:
        logger.warning("No SSM information on %s: %s", incident.instance_id, error)
        return None
    if ping is None or ping.status != "Online" or moment.epoch(ping.last_ping_at) < incident.started_epoch:
        return None
    settings = Probe.read()
    answer = probe(
        incident.instance_id, document=settings.probe_document, timeout_seconds=settings.probe_timeout_seconds
    )
    booted_at = _boot_time(answer.stdout) if answer.is_answered else None
    if booted_at is None:
        return None
    if moment.epoch(booted_at) >= incident.since_epoch:
        return "online", f"{incident.instance_id} is back: it booted at {moment.iso(booted_at)}."
    return "no-panic", (
        f"{incident.instance_id} executes commands and has not rebooted since {moment.iso(booted_at)}:"
        " the interrupt did not make its kernel panic (is kernel.unknown_nmi_panic 1?)."
    )


def _boot_time(stdout: str) -> datetime | None:
    """Of probe_instance's `{"bootId":"…","bootedAt":"2026-11-23T04:00:00Z","kernel":"…"}`."""
    try:
        return moment.parse(json.loads(stdout)["bootedAt"])
    except (ValueError, KeyError, TypeError):
        logger.warning("The probe's output is not what probe_instance prints: %r", stdout[:200])
        return None
