"""Rules about the moment: nobody else acts or forbids it, and the budgets are not spent; and the decision."""

from collections.abc import Callable
from dataclasses import replace

from lambdas.respond import instance_rules, proof_rules
from lambdas.respond.decision import Decision, Evidence, Policy, Reason, missing, refusal


def _kill_switch(evidence: Evidence, _: Policy) -> Decision | None:
    if evidence.kill_switch is None:
        return refusal("kill-switch-unreadable", f"The switch could not be read. {' '.join(evidence.notes)}".strip())
    return refusal("kill-switch-off", evidence.kill_switch) if evidence.kill_switch else None


def _mute(evidence: Evidence, policy: Policy) -> Decision | None:
    if policy.is_requested:
        return None
    if evidence.mute is None:
        return missing("whether the alarm is muted", evidence)
    if evidence.mute:
        return refusal("alarm-muted", f"The alarm is muted: {evidence.mute}.")
    return None


def _maintenance_window(evidence: Evidence, policy: Policy) -> Decision | None:
    if policy.is_requested:
        return None
    if evidence.maintenance_window is None:
        return missing("the maintenance windows", evidence)
    if evidence.maintenance_window:
        return refusal("maintenance-window", f"The window {evidence.maintenance_window} (UTC) is open.")
    return None


def _other_alarms(evidence: Evidence, _: Policy) -> Decision | None:
    # Their action takes as long as a reboot, and a booting instance leaves the probe unanswered, like a hung one.
    if evidence.rival_alarms is None or evidence.fired_rival_alarms is None:
        return missing("whether other alarms act on the instance", evidence)
    if evidence.fired_rival_alarms:
        named = "; ".join(evidence.fired_rival_alarms)
        return refusal("other-alarm-acts", f"Another alarm has fired and acts on the instance: {named}.")
    return None


def _cooldown(evidence: Evidence, policy: Policy) -> Decision | None:
    if evidence.last_interrupt_epoch is None:
        return missing("when the instance was last interrupted", evidence)
    since = evidence.now_epoch - evidence.last_interrupt_epoch
    if evidence.last_interrupt_epoch > 0 and since <= policy.cooldown_seconds:
        detail = f"The instance was interrupted {since} s ago; the cooldown is {policy.cooldown_seconds} s."
        return refusal("cooldown", detail)
    return None


def _budget(evidence: Evidence, *, reason: Reason, of: str, spent: int | None, budget: int) -> Decision | None:
    if spent is None:
        return missing(f"how many interrupts {of} had in this window", evidence)
    if spent >= budget:
        return refusal(reason, f"{spent} interrupts in this window; the budget of {of} is {budget}.")
    return None


def _drill(evidence: Evidence, _: Policy) -> Decision | None:
    if evidence.drill and not evidence.is_drill_open:
        detail = f"It carries the tag of the drill {evidence.drill}, whose record has no interrupt for it."
        return refusal("drill-spent", detail)
    return None


def _fleet_budget(evidence: Evidence, policy: Policy) -> Decision | None:
    spent, budget = evidence.interrupts_in_window, policy.fleet_budget
    return _budget(evidence, reason="fleet-budget-spent", of="the fleet", spent=spent, budget=budget)


def _zone_budget(evidence: Evidence, policy: Policy) -> Decision | None:
    if not evidence.availability_zone:
        return missing("the instance's Availability Zone", evidence)
    of, spent = f"the zone {evidence.availability_zone}", evidence.interrupts_in_zone
    return _budget(evidence, reason="zone-budget-spent", of=of, spent=spent, budget=policy.zone_budget)


def _group_budget(evidence: Evidence, policy: Policy) -> Decision | None:
    if evidence.auto_scaling_group is None:
        return missing("the instance's Auto Scaling group", evidence)
    if not evidence.auto_scaling_group:
        return None
    of, spent = f"the group {evidence.auto_scaling_group}", evidence.interrupts_in_group
    return _budget(evidence, reason="group-budget-spent", of=of, spent=spent, budget=policy.group_budget)


def _probe(evidence: Evidence, _: Policy) -> Decision | None:
    if evidence.is_probe_answered is None:
        return missing("whether the instance executes the probe", evidence)
    if evidence.is_probe_answered:
        return refusal("instance-responds", "The instance executed the probe: it is not hung.")
    return None


Rules = tuple[Callable[[Evidence, Policy], Decision | None], ...]
RULES: Rules = (*instance_rules.RULES, _kill_switch, _mute, _maintenance_window)
# A person who requests the interrupt has seen the hang.
PROOF: Rules = proof_rules.RULES
# They come after the proof, so that what they refuse is a hang. If a zone fails, the reads of alarms are throttled: its
# failure must be found before that.
LIMITS: Rules = (_other_alarms, _cooldown, _drill, _fleet_budget, _zone_budget, _group_budget)


def decide(evidence: Evidence, policy: Policy) -> Decision:
    """The first rule that objects refuses; when none does: interrupt, or dry-run if that is the policy."""
    # The probe is last because it takes most of a minute.
    for rule in (*RULES, *LIMITS) if policy.is_requested else (*RULES, *PROOF, *LIMITS, _probe):
        objection = rule(evidence, policy)
        if objection is not None:
            return objection
    proof: Reason = "requested" if policy.is_requested else proof_rules.proof_of(evidence)
    if policy.is_dry_run:
        agreed = f"Every rule agrees to an interrupt ({proof}), but the setting dryRun is true."
        return Decision("dry-run", "dry-run", agreed)
    if policy.is_requested:
        return Decision("interrupt", proof, "A person requested the interrupt.")
    return Decision("interrupt", proof, "The instance did not execute the probe in time.")


def is_probe_needed(evidence: Evidence, policy: Policy) -> bool:
    """True when no cheaper rule refuses, so that the probe's answer decides. The probe takes most of a minute."""
    if policy.is_requested:
        return False
    return decide(replace(evidence, is_probe_answered=False), policy).action != "refuse"
