"""The words of the decision: what is known, what is allowed, what is to be done and why."""

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
    """What is known about an instance; None is "could not be read"."""

    now_epoch: int
    is_instance_known: bool | None = None
    is_enrolled: bool | None = None
    # When kdump was last seen ready; 0: the tag is missing or no time.
    ready_epoch: int | None = None
    # The kernel that was seen ready; empty: not noted.
    ready_kernel: str | None = None
    instance_state: str | None = None
    launched_epoch: int | None = None
    availability_zone: str | None = None
    # Empty: in none.
    auto_scaling_group: str | None = None
    # What the console tells of the last boot (console_facts.py); 0 and empty: it tells nothing.
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
    # The window that is open; empty: none.
    maintenance_window: str | None = None
    # Alarms that would reboot, recover, stop or terminate the instance, and those of them that have fired.
    rival_alarms: tuple[str, ...] | None = None
    fired_rival_alarms: tuple[str, ...] | None = None
    # Whether the instance executed the probe in time.
    is_probe_answered: bool | None = None
    # 0: never
    last_interrupt_epoch: int | None = None
    interrupts_in_window: int | None = None
    interrupts_in_zone: int | None = None
    interrupts_in_group: int | None = None
    # Why facts are missing, for humans only.
    notes: tuple[str, ...] = ()

    @property
    def booted_epoch(self) -> int:
        """The last boot, as far as it is known; 0: not at all."""
        return max(self.launched_epoch or 0, self.console_booted_epoch or 0)

    def as_json(self) -> dict[str, Any]:
        """For the incident record: camelCase, without what is not known."""
        facts = {to_camel(name): value for name, value in asdict(self).items() if value not in (None, ())}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in facts.items()}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What the owner of the stack allows.

    A human who asked for the interrupt waives the second signal, muted alarms and maintenance windows: they are there.
    """

    cooldown_seconds: int
    fleet_budget: int
    zone_budget: int
    group_budget: int
    boot_grace_seconds: int
    # 0: readiness does not age.
    ready_max_age_seconds: int
    # Whether readiness that was seen before the last boot still counts.
    is_ready_across_boots: bool
    is_dry_run: bool
    is_requested: bool = False


@dataclass(frozen=True)
class Decision:
    """What to do, the rule that said so, and that rule in words with the values it saw."""

    action: Action
    reason: Reason
    detail: str = ""


def refusal(reason: Reason, detail: str) -> Decision:
    """No, and why."""
    return Decision("refuse", reason, detail)


def missing(fact: str, evidence: Evidence) -> Decision:
    """No, because something that must be known is not."""
    why = " ".join(evidence.notes)
    return refusal("evidence-missing", f"Not known: {fact}. {why}".strip())
