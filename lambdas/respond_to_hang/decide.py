"""Whether to send a diagnostic interrupt: a pure function of evidence and policy.

Owns the rules and the reasons. In doubt the answer is no: a fact that could not be read refuses.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from pydantic.alias_generators import to_camel

Action = Literal["interrupt", "refuse", "dry-run"]

Reason = Literal[
    "hang-confirmed",
    "requested",
    "not-enrolled",
    "not-ready",
    "not-running",
    "unsupported-hypervisor",
    "unsupported-architecture",
    "system-check-failed",
    "ebs-check-failed",
    "status-check-passes",
    "instance-responds",
    "cooldown",
    "fleet-budget-spent",
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
    is_ready: bool | None = None
    instance_state: str | None = None
    # nitro | bare-metal | xen
    hypervisor: str | None = None
    architectures: tuple[str, ...] | None = None
    # ok | impaired | insufficient-data | initializing | not-applicable
    system_status: str | None = None
    attached_ebs_status: str | None = None
    instance_status: str | None = None
    is_alarm_on_status_check: bool | None = None
    # Whether the instance executed the probe in time.
    is_probe_answered: bool | None = None
    # 0: never
    last_interrupt_epoch: int | None = None
    interrupts_in_window: int | None = None
    # Why facts are missing, for humans only.
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For the incident record: camelCase, without what is not known."""
        facts = {to_camel(name): value for name, value in asdict(self).items() if value not in (None, ())}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in facts.items()}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What the owner of the stack allows; `needs_second_signal` is waived when a human asked for the interrupt."""

    cooldown_seconds: int
    fleet_budget: int
    is_dry_run: bool
    needs_second_signal: bool = True


@dataclass(frozen=True)
class Decision:
    """What to do, the rule that said so, and that rule in words with the values it saw."""

    action: Action
    reason: Reason
    detail: str = ""


def decide(evidence: Evidence, policy: Policy) -> Decision:
    """The first rule that objects refuses; when none does: interrupt, or dry-run if that is the policy."""
    for rule in _RULES:
        refusal = rule(evidence, policy)
        if refusal is not None:
            return refusal
    if policy.is_dry_run:
        return Decision("dry-run", "dry-run", "Every rule agrees to an interrupt, but the setting dryRun is true.")
    if policy.needs_second_signal:
        return Decision("interrupt", "hang-confirmed", "The instance did not execute the probe in time.")
    return Decision("interrupt", "requested", "A human asked for the interrupt.")


def is_probe_needed(evidence: Evidence, policy: Policy) -> bool:
    """The probe takes most of a minute: true when nothing cheaper refuses and its answer decides."""
    if not policy.needs_second_signal:
        return False
    return decide(replace(evidence, is_probe_answered=False), policy).action != "refuse"


def _missing(fact: str, evidence: Evidence) -> Decision:
    why = " ".join(evidence.notes)
    return Decision("refuse", "evidence-missing", f"Not known: {fact}. {why}".strip())


def _known(evidence: Evidence, _: Policy) -> Decision | None:
    if evidence.is_instance_known is None:
        return _missing("whether the instance exists", evidence)
    if not evidence.is_instance_known:
        return Decision("refuse", "instance-unknown", "EC2 knows no such instance in this account and Region.")
    return None


def _enrolled(evidence: Evidence, _: Policy) -> Decision | None:
    if evidence.is_enrolled is None:
        return _missing("the instance's tags", evidence)
    if not evidence.is_enrolled:
        return Decision("refuse", "not-enrolled", "The instance has no tag hangdump:enrolled with the value true.")
    return None


def _ready(evidence: Evidence, _: Policy) -> Decision | None:
    if evidence.is_ready is None:
        return _missing("the instance's tags", evidence)
    if not evidence.is_ready:
        return Decision("refuse", "not-ready", "The instance has no tag hangdump:ready: run ProvisionDumpVolume first.")
    return None


def _running(evidence: Evidence, _: Policy) -> Decision | None:
    if evidence.instance_state is None:
        return _missing("the instance's state", evidence)
    if evidence.instance_state != "running":
        return Decision("refuse", "not-running", f"The instance is {evidence.instance_state}.")
    return None


def _hypervisor(evidence: Evidence, _: Policy) -> Decision | None:
    # "All Nitro-based instance types, except Graviton" (EC2 User Guide, 2026); bare metal types report no hypervisor.
    if evidence.hypervisor is None:
        return _missing("the instance type's hypervisor", evidence)
    if evidence.hypervisor not in ("nitro", "bare-metal"):
        return Decision("refuse", "unsupported-hypervisor", f"The hypervisor is {evidence.hypervisor}, not nitro.")
    return None


def _architecture(evidence: Evidence, _: Policy) -> Decision | None:
    if evidence.architectures is None:
        return _missing("the instance type's architecture", evidence)
    if "x86_64" not in evidence.architectures:
        seen = ", ".join(evidence.architectures) or "unknown"
        return Decision("refuse", "unsupported-architecture", f"The architecture is {seen}, not x86_64.")
    return None


def _system_check(evidence: Evidence, _: Policy) -> Decision | None:
    # Impaired is a host failure, which recovery owns; insufficient-data is doubt, and doubt refuses.
    if evidence.system_status is None:
        return _missing("the system status check", evidence)
    if evidence.system_status != "ok":
        detail = (
            f"The system status check is {evidence.system_status}, not ok: the host, not the kernel, may be at fault."
        )
        return Decision("refuse", "system-check-failed", detail)
    return None


def _attached_ebs_check(evidence: Evidence, _: Policy) -> Decision | None:
    # Not every type has this check: not-applicable says nothing. Without a disk that answers there is no dump.
    if evidence.attached_ebs_status is None:
        return _missing("the attached EBS status check", evidence)
    if evidence.attached_ebs_status not in ("ok", "not-applicable"):
        detail = f"The attached EBS status check is {evidence.attached_ebs_status}, not ok: a volume does not answer."
        return Decision("refuse", "ebs-check-failed", detail)
    return None


def _instance_check(evidence: Evidence, policy: Policy) -> Decision | None:
    if not policy.needs_second_signal:
        return None
    if evidence.is_alarm_on_status_check is None:
        return _missing("the alarm's metrics", evidence)
    status = evidence.instance_status
    if status not in ("ok", "impaired"):
        # initializing: it has just started, and its kdump service may not have loaded the crash kernel yet
        return _missing(f"the instance status check, which is {status or 'unread'}", evidence)
    if evidence.is_alarm_on_status_check and status != "impaired":
        detail = f"The alarm is on a status check, but the instance status check is {status} now."
        return Decision("refuse", "status-check-passes", detail)
    return None


def _cooldown(evidence: Evidence, policy: Policy) -> Decision | None:
    if evidence.last_interrupt_epoch is None:
        return _missing("when the instance was last interrupted", evidence)
    since = evidence.now_epoch - evidence.last_interrupt_epoch
    if evidence.last_interrupt_epoch > 0 and since <= policy.cooldown_seconds:
        detail = f"The instance was interrupted {since} s ago; the cooldown is {policy.cooldown_seconds} s."
        return Decision("refuse", "cooldown", detail)
    return None


def _fleet_budget(evidence: Evidence, policy: Policy) -> Decision | None:
    if evidence.interrupts_in_window is None:
        return _missing("how many interrupts the fleet had in this window", evidence)
    if evidence.interrupts_in_window >= policy.fleet_budget:
        detail = (
            f"{evidence.interrupts_in_window} interrupts in this window; the fleet's budget is {policy.fleet_budget}."
        )
        return Decision("refuse", "fleet-budget-spent", detail)
    return None


def _probe(evidence: Evidence, policy: Policy) -> Decision | None:
    if not policy.needs_second_signal:
        return None
    if evidence.is_probe_answered is None:
        return _missing("whether the instance executes the probe", evidence)
    if evidence.is_probe_answered:
        return Decision("refuse", "instance-responds", "The instance executed the probe: it is not hung.")
    return None


_RULES: tuple[Callable[[Evidence, Policy], Decision | None], ...] = (
    _known,
    _enrolled,
    _ready,
    _running,
    _hypervisor,
    _architecture,
    _system_check,
    _attached_ebs_check,
    _instance_check,
    _cooldown,
    _fleet_budget,
    _probe,
)
