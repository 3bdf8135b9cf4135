"""Reads in parallel the facts that `decide` judges. A fact that cannot be read is None with a note, never a guess."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.incident.record import ConsoleBaseline
from lambdas.instance.alarms import METRICS, RivalAlarm, read_mute, read_rival_alarms
from lambdas.instance.facts import (
    Instance,
    InstanceType,
    Ping,
    StatusChecks,
    console_baseline,
    read_console,
    read_impairments,
    read_instance,
    read_instance_type,
    read_ping,
    read_pings,
    read_status_checks,
)
from lambdas.instance.hypervisor_metrics import HypervisorMetrics, has_standard_credits, read_hypervisor_metrics
from lambdas.respond.alarm_event import Alarm
from lambdas.respond.claim import PastInterrupts, Place, past_interrupts
from lambdas.respond.complaints import current_trouble
from lambdas.respond.console_facts import has_text, read_console_facts
from lambdas.respond.decision import Evidence, Policy
from lambdas.respond.kill_switch import why_stopped
from lambdas.respond.proof_rules import CORRELATION_SECONDS
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import InterruptLimits
from lambdas.runtime.errors import BudgetsUnread
from lambdas.runtime.tags import DISARMED_TAG, READY_CONFIG_TAG, READY_KERNEL_TAG
from lambdas.runtime.weekly_windows import open_window

Fact = TypeVar("Fact")

# A burstable instance earns a fraction of a credit at a time: one without credits is shown with less than one.
_SPENT_CREDITS = 1

# For each round: what needs only the instance's id, what needs its description, and the agents of its zone.
BOUND_SECONDS = 20.0


@dataclass(frozen=True)
class Gathered:
    """The evidence, the console at that time (None: not read), and the instance's description (None: not read)."""

    evidence: Evidence
    console_baseline: ConsoleBaseline | None
    instance: Instance | None

    @property
    def network(self) -> dict[str, Any]:
        """The instance's network, for a rescue."""
        return self.instance.network if self.instance else {}

    @property
    def launched_from(self) -> dict[str, Any]:
        """The instance's image and type, for a twin of it."""
        return self.instance.launched_from if self.instance else {}

    @property
    def place(self) -> Place:
        """The zone and group whose budgets the claim charges."""
        seen = self.evidence
        return Place(seen.availability_zone or "", seen.auto_scaling_group or "", seen.drill or "")


def gather(
    instance_id: str,
    *,
    alarm: Alarm | None,
    table: str,
    limits: InterruptLimits,
    now: datetime,
    before: Gathered | None = None,
) -> Gathered:
    """Reads every fact but the probe, which is slow and runs only if no other fact refuses.

    `alarm` is None when a person requested the interrupt. `before`, what was gathered minutes ago, saves a round: its
    description of the instance says at once which type, zone and budgets to ask for.
    """

    def read_past(instance: Instance) -> PastInterrupts:
        place = Place(instance.availability_zone, instance.auto_scaling_group, instance.drill)
        return past_interrupts(table, instance_id, place, limits=limits, now=now)

    answers = _ask(instance_id, alarm, read_past, now, before.instance if before else None)
    instance = answers.of("DescribeInstances", Instance)
    console = answers.of("GetConsoleOutput", str)
    checks = answers.of("DescribeInstanceStatus", StatusChecks)
    facts = {
        "is_instance_known": instance is not None if answers.is_read("DescribeInstances") else None,
        "mute": (alarm.mute or answers.of("DescribeAlarms", str)) if alarm else None,
        "kill_switch": answers.of("GetParameter", str),
        "maintenance_window": open_window(limits.maintenance_windows, now),
        **_of_instance(instance),
        **_of_type(answers.of("DescribeInstanceTypes", InstanceType)),
        **_of_status(checks),
        **_of_ping(answers),
        **_of_zone(answers.of(_IMPAIRMENTS, tuple), checks),
        **_of_rivals([answers.of(_rivals_on(metric), tuple) for metric in METRICS]),
        **_of_past(answers.of("The incident table", PastInterrupts)),
    }
    evidence = Evidence(now_epoch=moment.epoch(now), notes=tuple(answers.notes), **facts)
    evidence = replace(evidence, **_of_console(console, evidence))
    # The onset of the hang is known now.
    evidence = replace(evidence, **_of_metrics(answers, evidence, now))
    if alarm and not evidence.impaired_epoch:
        evidence = replace(evidence, **_of_agents(instance_id, evidence, limits))
    baseline = console_baseline(console) if console is not None else None
    return Gathered(evidence, baseline, instance)


def _ask(
    instance_id: str,
    alarm: Alarm | None,
    read_past: Callable[[Instance], PastInterrupts],
    now: datetime,
    known: Instance | None,
) -> "_Answers":
    """Makes all calls at once; those for the instance's type, zone and budgets start when the instance is known."""
    threads = ThreadPoolExecutor(10 + len(METRICS), thread_name_prefix="gate")
    try:
        # boto3 does not create clients thread-safely, so only this thread creates them; calls of one client run while
        # it creates the next one.
        clients.ec2()
        described = {"DescribeInstances": threads.submit(read_instance, instance_id)}
        asked: dict[str, Future[Any]] = {
            "DescribeInstanceStatus": threads.submit(read_status_checks, instance_id),
            "GetConsoleOutput": threads.submit(read_console, instance_id),
        }
        clients.cloudwatch()
        asked["GetMetricData"] = threads.submit(read_hypervisor_metrics, instance_id, now)
        asked |= {_rivals_on(metric): threads.submit(read_rival_alarms, instance_id, metric) for metric in METRICS}
        if alarm is not None and not alarm.mute:
            asked["DescribeAlarms"] = threads.submit(read_mute, instance_id, alarm.name)
        clients.ssm()
        asked["DescribeInstanceInformation"] = threads.submit(read_ping, instance_id)
        clients.ssm_short_retry()
        asked["GetParameter"] = threads.submit(why_stopped)
        clients.dynamodb()
        first = _Answers({} if known else described)
        instance = known or first.of("DescribeInstances", Instance)
        if instance is not None:
            asked["DescribeInstanceTypes"] = threads.submit(read_instance_type, instance.instance_type)
            asked["The incident table"] = threads.submit(read_past, instance)
            asked[_IMPAIRMENTS] = threads.submit(read_impairments, instance.availability_zone)
            if instance.is_burstable:
                asked[_CREDITS] = threads.submit(has_standard_credits, instance_id)
        answers = first.and_of(asked | described if known else asked)
    finally:
        # Do not wait for a call that is out of time: its client's timeout ends it.
        threads.shutdown(wait=False, cancel_futures=True)
    described_now = answers.of("DescribeInstances", Instance)
    if known and described_now and _asked_for(known) != _asked_for(described_now):
        return _ask(instance_id, alarm, read_past, now, known=None)
    return answers


def _asked_for(instance: Instance) -> tuple[str, str, str]:
    return instance.instance_type, instance.availability_zone, instance.auto_scaling_group


_IMPAIRMENTS = "DescribeInstanceStatus of the zone"
_PINGS = "DescribeInstanceInformation of the zone"
_CREDITS = "DescribeInstanceCreditSpecifications"


def _rivals_on(metric: str) -> str:
    return f"DescribeAlarmsForMetric {metric}"


def policy(limits: InterruptLimits, *, is_requested: bool) -> Policy:
    """The policy that the stack's settings make."""
    return Policy(
        cooldown_seconds=limits.cooldown_seconds,
        fleet_budget=limits.fleet_budget,
        zone_budget=limits.zone_budget,
        group_budget=limits.group_budget,
        boot_grace_seconds=limits.boot_grace_seconds,
        impaired_seconds=limits.impaired_seconds,
        ping_seconds=60 * limits.agent_ping_minutes,
        ready_max_age_seconds=limits.ready_max_age_days * 24 * 3600,
        is_ready_across_boots=limits.ready_across_boots,
        is_hypervisor_evidence_required=limits.hypervisor_evidence == "required",
        is_silence_interrupted=limits.interrupt_on_silence,
        is_dry_run=limits.dry_run,
        is_requested=is_requested,
    )


class _Answers:
    """The answers that came within the bound, and a note for each source that gave none."""

    def __init__(self, asked: Mapping[str, Future[Any]]) -> None:
        self.notes: list[str] = []
        self._asked = set(asked)
        self._read: dict[str, Any] = {}
        wait(asked.values(), timeout=BOUND_SECONDS)
        for source, future in asked.items():
            if not future.done():
                self.notes.append(f"{source}: no answer within {BOUND_SECONDS:g} s.")
                continue
            try:
                self._read[source] = future.result()
            except (ClientError, BotoCoreError, BudgetsUnread) as error:
                self.notes.append(f"{source}: {error}")

    def and_of(self, asked: Mapping[str, Future[Any]]) -> "_Answers":
        """These answers and those of `asked`."""
        both = _Answers(asked)
        both.notes = [*self.notes, *both.notes]
        both._read |= self._read
        both._asked |= self._asked
        return both

    def is_asked(self, source: str) -> bool:
        """Whether the source had to be asked."""
        return source in self._asked

    def is_read(self, source: str) -> bool:
        """Whether the source answered; the answer may be empty."""
        return source in self._read

    def of(self, source: str, _kind: Callable[..., Fact]) -> Fact | None:
        """The source's answer; None also when it gave none."""
        return self._read.get(source)


def _of_instance(instance: Instance | None) -> dict[str, Any]:
    if instance is None:
        return {}
    return {
        "is_enrolled": instance.is_enrolled,
        "is_disarmed": DISARMED_TAG in instance.tags,
        "ready_epoch": instance.ready_epoch,
        "ready_kernel": instance.tags.get(READY_KERNEL_TAG, ""),
        "ready_config": instance.tags.get(READY_CONFIG_TAG, ""),
        "instance_state": instance.state,
        "launched_epoch": moment.epoch(instance.launched_at),
        "availability_zone": instance.availability_zone,
        "auto_scaling_group": instance.auto_scaling_group,
        "drill": instance.drill or None,
    }


def _of_type(described: InstanceType | None) -> dict[str, Any]:
    if described is None:
        return {}
    return {"hypervisor": described.hypervisor, "architectures": described.architectures}


def _of_status(checks: StatusChecks | None) -> dict[str, Any]:
    if checks is None:
        return {}
    return {
        "system_status": checks.system,
        "instance_status": checks.instance,
        "attached_ebs_status": checks.attached_ebs,
        "impaired_epoch": moment.epoch(checks.impaired_since) if checks.impaired_since else 0,
        "scheduled_events": checks.events,
    }


def _of_ping(answers: "_Answers") -> dict[str, Any]:
    if not answers.is_read("DescribeInstanceInformation"):
        return {}
    ping = answers.of("DescribeInstanceInformation", Ping)
    return {"last_ping_epoch": moment.epoch(ping.last_ping_at) if ping else 0}


def _of_zone(impairments: tuple[datetime, ...] | None, checks: StatusChecks | None) -> dict[str, Any]:
    if impairments is None or checks is None or checks.impaired_since is None:
        return {}
    onset = checks.impaired_since
    near = [at for at in impairments if abs((at - onset).total_seconds()) <= CORRELATION_SECONDS]
    return {"impaired_in_zone": len(near)}


def _of_metrics(answers: "_Answers", evidence: Evidence, now: datetime) -> dict[str, Any]:
    metrics = answers.of("GetMetricData", HypervisorMetrics)
    facts: dict[str, Any] = {"is_cloudwatch_read": metrics is not None}
    is_standard = answers.of(_CREDITS, bool) if answers.is_asked(_CREDITS) else False
    if is_standard is not None:
        # A balance that CloudWatch does not know leaves doubt.
        balance = metrics.credits if metrics else None
        facts["is_out_of_credits"] = (None if balance is None else balance < _SPENT_CREDITS) if is_standard else False
    if metrics is not None and evidence.onset_epoch:
        onset = moment.at_epoch(evidence.onset_epoch)
        facts["ebs_writes_before"] = metrics.writes_before(onset)
        facts["ebs_writes_after"] = metrics.writes_after(onset, now)
        facts["ebs_writes_lately"] = metrics.writes_lately(onset, now)
    return facts


def _of_agents(instance_id: str, evidence: Evidence, limits: InterruptLimits) -> dict[str, Any]:
    """While the check passes, the agents of the zone are the only others that show a common cause."""
    if not evidence.last_ping_epoch or not evidence.availability_zone:
        return {}
    threads = ThreadPoolExecutor(1, thread_name_prefix="agents")
    try:
        answers = _Answers({_PINGS: threads.submit(read_pings, evidence.availability_zone)})
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
    pings: dict[str, datetime] | None = answers.of(_PINGS, dict)
    if pings is None:
        return {"notes": (*evidence.notes, *answers.notes)}
    interval = 60 * limits.agent_ping_minutes
    last = evidence.last_ping_epoch
    # An agent that is silent was alive at most until its next ping was due.
    onset = last + interval if evidence.is_only_silent else evidence.onset_epoch
    earliest, latest = last - max(CORRELATION_SECONDS, interval), onset + moment.CLOCK_SLACK_SECONDS
    others = [moment.epoch(at) for each, at in pings.items() if each != instance_id]
    unheard = [last, *(at for at in others if earliest <= at <= latest)]
    overdue = [at for at in unheard if evidence.now_epoch - at >= interval]
    return {"unheard_in_zone": len(unheard), "overdue_in_zone": len(overdue)}


def _of_console(console: str | None, evidence: Evidence) -> dict[str, Any]:
    if console is None:
        return {}
    if not has_text(console):
        # Its kernel may dump, unseen.
        note = "GetConsoleOutput: no text. Does the kernel write to the serial console (console=ttyS0)?"
        return {"notes": (*evidence.notes, note)}
    seen = read_console_facts(console)
    trouble = current_trouble(
        seen.complaints,
        # The last boot is this old at most, so what its kernel says cannot be older than that.
        booted_epoch=max(seen.booted_epoch, evidence.launched_epoch or 0),
        last_ping_epoch=evidence.last_ping_epoch or 0,
        now_epoch=evidence.now_epoch,
    )
    return {
        "console_booted_epoch": seen.booted_epoch,
        "console_kernel": seen.kernel,
        "is_booting": seen.is_booting,
        "is_crash_kernel": seen.is_crash_kernel,
        "console_ready_config": seen.ready.config if seen.ready else "",
        "console_lockups": trouble.lockups,
        "console_hung_tasks": trouble.hung_tasks,
        "console_hung_task_scans": trouble.hung_task_scans,
        "console_trouble_began_epoch": trouble.began_epoch,
        "console_trouble_epoch": trouble.last_epoch,
    }


def _of_rivals(found: list[tuple[RivalAlarm, ...] | None]) -> dict[str, Any]:
    rivals = [rival for each in found if each is not None for rival in each]
    if None in found:
        return {}
    return {
        "rival_alarms": tuple(sorted({str(rival) for rival in rivals})),
        "fired_rival_alarms": tuple(sorted({str(rival) for rival in rivals if rival.has_fired})),
    }


def _of_past(past: PastInterrupts | None) -> dict[str, Any]:
    if past is None:
        return {}
    return {
        "last_interrupt_epoch": past.last_interrupt_epoch,
        "interrupts_in_window": past.in_window,
        "interrupts_in_zone": past.in_zone,
        "interrupts_in_group": past.in_group,
        "open_incident": past.open_incident,
        "is_drill_open": past.is_drill_open,
        "missing_snapshot": past.missing_snapshot,
    }
