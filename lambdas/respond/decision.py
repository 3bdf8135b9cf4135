"""The values of the decision: the evidence, the policy, and the action with its reason."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic.alias_generators import to_camel

Action = Literal["interrupt", "refuse", "dry-run"]

Reason = Literal[
    "hang-confirmed",
    "requested",
    "not-enrolled",
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
    "instance-responds",
    "alarm-muted",
    "maintenance-window",
    "other-alarm-acts",
    "cooldown",
    "fleet-budget-spent",
    "zone-budget-spent",
    "group-budget-spent",
    "instance-unknown",
    "evidence-missing",
    "dry-run",
]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The facts about an instance. None: the fact could not be read."""

    now_epoch: int
    is_instance_known: bool | None = None
    is_enrolled: bool | None = None
    # When kdump was last seen ready; 0: the tag is missing or holds no time.
    ready_epoch: int | None = None
    # The kernel that was running then; empty: it was not recorded.
    ready_kernel: str | None = None
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
    # nitro | bare-metal | xen
    hypervisor: str | None = None
    architectures: tuple[str, ...] | None = None
    # ok | impaired | insufficient-data | initializing | not-applicable
    system_status: str | None = None
    attached_ebs_status: str | None = None
    instance_status: str | None = None
    is_alarm_on_status_check: bool | None = None
    # Why the alarm must not act; empty: it may.
    mute: str | None = None
    # The open window; empty: none is open.
    maintenance_window: str | None = None
    # Alarms whose action reboots, recovers, stops or terminates the instance, and which of them have fired.
    rival_alarms: tuple[str, ...] | None = None
    fired_rival_alarms: tuple[str, ...] | None = None
    # Whether the instance executed the probe in time.
    is_probe_answered: bool | None = None
    # 0: never
    last_interrupt_epoch: int | None = None
    interrupts_in_window: int | None = None
    interrupts_in_zone: int | None = None
    interrupts_in_group: int | None = None
    # Why facts are missing. Shown to people; no rule reads them.
    notes: tuple[str, ...] = ()

    @property
    def booted_epoch(self) -> int:
        """The last boot; 0: unknown."""
        return max(self.launched_epoch or 0, self.console_booted_epoch or 0)

    def as_json(self) -> dict[str, Any]:
        """For the incident record: camelCase, without unknown facts."""
        facts = {to_camel(name): value for name, value in asdict(self).items() if value not in (None, ())}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in facts.items()}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The limits that the stack's settings set.

    A person who requests the interrupt watches the instance, so the request waives three rules: the second signal,
    muted alarms and maintenance windows.
    """

    cooldown_seconds: int
    fleet_budget: int
    zone_budget: int
    group_budget: int
    boot_grace_seconds: int
    # 0: readiness does not expire.
    ready_max_age_seconds: int
    # Whether readiness from before the last boot still counts.
    is_ready_across_boots: bool
    is_dry_run: bool
    is_requested: bool = False


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
    return refusal("evidence-missing", f"Not known: {fact}. {why}".strip())
