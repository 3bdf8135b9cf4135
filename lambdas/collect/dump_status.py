"""The status of an interrupted instance: dumping, back, unharmed, off, or out of time.

Only a boot after the interrupt, seen by an active probe, proves that the instance is back.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.collect.console_progress import Progress, read_progress
from lambdas.collect.judge_progress import Bounds, advance, judge
from lambdas.incident.record import DumpWatch, Incident
from lambdas.instance.document_models import Probed, read_as
from lambdas.instance.document_result import parse_object
from lambdas.instance.facts import Instance, read_console, read_instance, read_ping
from lambdas.instance.probe import probe
from lambdas.runtime import moment
from lambdas.runtime.environment import DumpStall, Probe
from lambdas.runtime.errors import UnexpectedResult
from lambdas.runtime.observability import logger

_OFF = ("stopped", "shutting-down", "terminated")
# StateReason when the guest powered itself off, as the crash kernel does with finalAction poweroff.
_BY_ITSELF = "Client.InstanceInitiatedShutdown"


@dataclass(frozen=True)
class DumpStatus:
    """waiting, crash-kernel, dumping, saved and booting continue the watch. The other phases end it: online, no-panic,
    timed-out, and those of judge_progress for a dump without progress.

    powered-off: it powered itself off after our interrupt, so it is started again. stopped: off for any other reason.
    """

    phase: str
    detail: str
    progress: int | None = None
    saw_crash_kernel: bool = False
    watch: DumpWatch | None = None

    def as_json(self) -> dict[str, Any]:
        """The function's result."""
        fields = {"phase": self.phase, "detail": self.detail, "sawCrashKernel": self.saw_crash_kernel}
        return fields | ({} if self.progress is None else {"progress": self.progress})


def read_dump_status(incident: Incident, *, is_started_again: bool) -> DumpStatus:
    instance = read_instance(incident.instance_id)
    console, watch = _read_progress(incident)
    # Remember a crash kernel once seen: the console keeps only 64 KB, and a stopped instance may show none of it.
    saw = console.saw_crash_kernel or incident.saw_crash_kernel
    if instance is None or instance.state in _OFF:
        phase, detail = _judge_power(incident, instance, is_started_again=is_started_again)
        return DumpStatus(phase, f"{detail} {console.detail}", saw_crash_kernel=saw, watch=watch)
    over = _probe_boot(incident)
    if over is None and not is_started_again:
        bounds = Bounds(incident.dump_deadline_epoch, incident.dump_limit_epoch, DumpStall.read().dump_stall_seconds)
        over = judge(watch, console, bounds=bounds, now_epoch=moment.epoch(moment.now()))
    if over is not None:
        phase, detail = over
        return DumpStatus(phase, detail, saw_crash_kernel=saw, watch=watch)
    return DumpStatus(console.phase, console.detail, console.percent, saw, watch)


def _judge_power(incident: Incident, instance: Instance | None, *, is_started_again: bool) -> tuple[str, str]:
    """Phase and detail for an instance that does not run."""
    state, reason = (instance.state, instance.state_reason) if instance else ("terminated", "")
    name, because = incident.instance_id, f" ({reason})" if reason else ""
    if state != "stopped" or reason != _BY_ITSELF:
        return "stopped", f"{name} is {state}{because}, but its own operating system did not do that: it is left alone."
    if is_started_again:
        return "stopped", f"{name} was started again after its dump, but powered itself off again{because}."
    if not incident.is_crashed:
        return "stopped", f"{name} powered itself off{because}, but Hangdump sent no interrupt: it is left alone."
    return "powered-off", f"{name} powered itself off{because}. It is started again to fetch its vmcore."


def _read_progress(incident: Incident) -> tuple[Progress, DumpWatch]:
    known, baseline = incident.dump_watch, incident.console_baseline
    try:
        console = read_console(incident.instance_id)
    except (ClientError, BotoCoreError) as error:
        unread = Progress("waiting", f"The console cannot be read: {error}.")
        return unread, known or DumpWatch(console_seen=baseline)
    progress = read_progress(console, baseline=baseline)
    now_epoch = moment.epoch(moment.now())
    return progress, advance(known, progress, console, baseline=baseline, now_epoch=now_epoch)


def _probe_boot(incident: Incident) -> tuple[str, str] | None:
    """online or no-panic once the agent has pinged since the interrupt and runs the probe; otherwise None."""
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
    """Reads probe_instance's `{"bootId":"…","bootedAt":"2026-11-23T04:00:00Z","kernel":"…"}`."""
    try:
        return moment.parse(read_as(Probed, parse_object(stdout), source="probe_instance").booted_at)
    except (UnexpectedResult, ValueError, OverflowError):
        logger.warning("The probe's output is not what probe_instance prints: %r", stdout[:200])
        return None
