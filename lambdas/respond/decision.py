"""The values of the decision: the evidence, the policy, and the action with its reason."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from lambdas.respond.complaints import GUEST_CLOCK_SECONDS, RUN_SECONDS
from lambdas.runtime.camel_case import camel_case

Action = Literal["interrupt", "refuse", "dry-run"]

Reason = Literal[
    "kernel-deaf",
    "kernel-says-so",
    "silence",
    "requested",
    "not-enrolled",
    "disarmed",
    "not-ready",
    "ready-stale",
    "not-running",
    "boot-grace",
    "dump-under-way",
    "unsupported-hypervisor",
    "unsupported-architecture",
    "system-check-failed",
    "ebs-check-failed",
    "status-check-passes",
    "hang-too-young",
    "suspected-hang",
    "instance-responds",
    "agent-was-dead",
    "correlated-failure",
    "scheduled-event",
    "still-works",
    "no-credits",
    "incident-open",
    "kill-switch-off",
    "kill-switch-unreadable",
    "alarm-muted",
    "maintenance-window",
    "other-alarm-acts",
    "cooldown",
    "fleet-budget-spent",
    "zone-budget-spent",
    "group-budget-spent",
    "drill-spent",
    "instance-unknown",
    "evidence-missing",
    "dry-run",
]

# The kernel panicked on its own: its dump is fetched.
PANICKED: Reason = "dump-under-way"

# The reports that prove a hang.
_LOCKUPS = 2
_HUNG_TASKS, _HUNG_TASK_SCANS = 3, 2


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The facts about an instance. None: the fact could not be read."""

    now_epoch: int
    is_instance_known: bool | None = None
    is_enrolled: bool | None = None
    # Its last dump showed no hang.
    is_disarmed: bool | None = None
    # When kdump was last seen ready; 0: the tag is missing or holds no time.
    ready_epoch: int | None = None
    # The kernel and the kdump configuration at that time; empty: not recorded.
    ready_kernel: str | None = None
    ready_config: str | None = None
    instance_state: str | None = None
    launched_epoch: int | None = None
    availability_zone: str | None = None
    # Empty: the instance is in no group.
    auto_scaling_group: str | None = None
    # The last boot, from the console (console_facts.py); 0 and empty: the console does not show it.
    console_booted_epoch: int | None = None
    console_kernel: str | None = None
    is_booting: bool | None = None
    is_crash_kernel: bool | None = None
    # From hangdump-ready.service in the last boot: the configuration with which kdump is loaded; empty: not shown.
    console_ready_config: str | None = None
    # Hang reports of the last boot's kernel on the console since the agent's last ping (complaints.py), and the times
    # of the first and the last one; 0: none.
    console_lockups: int | None = None
    console_hung_tasks: int | None = None
    console_hung_task_scans: int | None = None
    console_trouble_began_epoch: int | None = None
    console_trouble_epoch: int | None = None
    # nitro | bare-metal | xen
    hypervisor: str | None = None
    architectures: tuple[str, ...] | None = None
    # ok | impaired | insufficient-data | initializing | not-applicable
    system_status: str | None = None
    attached_ebs_status: str | None = None
    instance_status: str | None = None
    # When the instance check began to fail; 0: it passes, or EC2 does not say.
    impaired_epoch: int | None = None
    # Open scheduled events, such as system-reboot.
    scheduled_events: tuple[str, ...] | None = None
    # Instances in the zone, this one included, whose check began to fail within CORRELATION_SECONDS of this one's.
    impaired_in_zone: int | None = None
    # While the check passes: enrolled instances in the zone, this one included, whose agents pinged shortly before the
    # hang and not since its onset; and those of them whose next ping is due. None: the check fails.
    unheard_in_zone: int | None = None
    overdue_in_zone: int | None = None
    # The agent's last ping; 0: Systems Manager does not know the instance.
    last_ping_epoch: int | None = None
    # Whether CloudWatch answered: what it has no period of is unknown, what it was not asked may speak against a hang.
    is_cloudwatch_read: bool | None = None
    # EBS writes per period before the onset, and in the full periods after it; None: CloudWatch has no such period.
    ebs_writes_before: int | None = None
    ebs_writes_after: int | None = None
    # At least so many in a later period, which CloudWatch may have in part only; None: there is none.
    ebs_writes_lately: int | None = None
    # A burstable instance in `standard` mode that has used up its CPU credits.
    is_out_of_credits: bool | None = None
    # Why the kill switch stops interrupts; empty: it does not.
    kill_switch: str | None = None
    # Why the alarm is muted; empty: it is not.
    mute: str | None = None
    # The open window; empty: none is open.
    maintenance_window: str | None = None
    # Alarms whose action reboots, recovers, stops or terminates the instance, and which of them have fired.
    rival_alarms: tuple[str, ...] | None = None
    fired_rival_alarms: tuple[str, ...] | None = None
    # The snapshot of its parked dump volume, if that is gone; empty: none is missing.
    missing_snapshot: str | None = None
    # Whether the instance executed the probe in time.
    is_probe_answered: bool | None = None
    # 0: never
    last_interrupt_epoch: int | None = None
    # The incident of the last interrupt while it is not concluded; empty: none.
    open_incident: str | None = None
    interrupts_in_window: int | None = None
    interrupts_in_zone: int | None = None
    interrupts_in_group: int | None = None
    # The drill whose twin the instance is, by its tag, and whether that drill's record has an interrupt left for it.
    drill: str | None = None
    is_drill_open: bool | None = None
    # Why facts are missing. Shown to people; no rule reads them.
    notes: tuple[str, ...] = ()

    @property
    def booted_epoch(self) -> int:
        """The last boot; 0: unknown."""
        return max(self.launched_epoch or 0, self.console_booted_epoch or 0)

    @property
    def is_reported_by_kernel(self) -> bool:
        """The kernel has reported the hang often enough, and just now."""
        age = self.now_epoch - (self.console_trouble_epoch or 0)
        if not -GUEST_CLOCK_SECONDS <= age <= RUN_SECONDS + GUEST_CLOCK_SECONDS:
            return False
        is_hung = (self.console_hung_tasks or 0) >= _HUNG_TASKS
        return (self.console_lockups or 0) >= _LOCKUPS or (
            is_hung and (self.console_hung_task_scans or 0) >= _HUNG_TASK_SCANS
        )

    @property
    def is_only_silent(self) -> bool:
        """Nothing but the silence of its agent can show a hang."""
        return not self.impaired_epoch and not self.is_reported_by_kernel

    @property
    def onset_epoch(self) -> int:
        """When the check began to fail, or else the kernel first reported the hang, or else the agent last pinged."""
        if self.is_only_silent:
            return self.last_ping_epoch or 0
        return self.impaired_epoch or self.console_trouble_began_epoch or 0

    def as_json(self) -> dict[str, Any]:
        """For the incident record: camelCase, without unknown facts."""
        facts = {camel_case(name): value for name, value in asdict(self).items() if value not in (None, ())}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in facts.items()}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The limits that the stack's settings set.

    A person who requests the interrupt has seen the hang, so the request waives the proof, the probe, muted alarms,
    maintenance windows and the tag hangdump:disarmed.
    """

    cooldown_seconds: int
    fleet_budget: int
    zone_budget: int
    group_budget: int
    boot_grace_seconds: int
    # The instance check must have failed for this long.
    impaired_seconds: int
    # From one ping of the instances' agents to the next.
    ping_seconds: int
    # 0: readiness does not expire.
    ready_max_age_seconds: int
    # Whether readiness from before the last boot still counts.
    is_ready_across_boots: bool
    # Whether to refuse if the EBS writes after the onset are unknown.
    is_hypervisor_evidence_required: bool
    # Whether to interrupt if the agent is silent, although the check passes and the console shows no hang.
    is_silence_interrupted: bool
    is_dry_run: bool
    is_requested: bool = False

    @property
    def silence_seconds(self) -> int:
        """An agent that has not pinged for longer has missed two pings; two minutes are tolerance."""
        return 2 * self.ping_seconds + 120


@dataclass(frozen=True)
class Decision:
    """The action, the rule that decided it, and a sentence with the values that the rule saw."""

    action: Action
    reason: Reason
    detail: str = ""


def refusal(reason: Reason, detail: str) -> Decision:
    """Refuses for `reason`."""
    return Decision("refuse", reason, detail)


def missing(fact: str, evidence: Evidence) -> Decision:
    """Refuses because a required fact is unknown."""
    why = " ".join(evidence.notes)
    return refusal("evidence-missing", f"A fact that a rule needs is unknown: {fact}. {why}".strip())
