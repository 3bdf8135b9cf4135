"""Whether to send a diagnostic interrupt: a pure function of evidence and policy.

Owns the order of the rules. In doubt the answer is no: a fact that could not be read refuses.
"""

from collections.abc import Callable
from dataclasses import replace

from lambdas.respond_to_hang import rules_of_moment, rules_of_readiness
from lambdas.respond_to_hang.decision import Decision, Evidence, Policy

# What the instance is, how it is, whether now is the time, and last what takes most of a minute to find out.
RULES: tuple[Callable[[Evidence, Policy], Decision | None], ...] = (
    *rules_of_readiness.RULES,
    *rules_of_moment.RULES,
)


def decide(evidence: Evidence, policy: Policy) -> Decision:
    """The first rule that objects refuses; when none does: interrupt, or dry-run if that is the policy."""
    for rule in RULES:
        objection = rule(evidence, policy)
        if objection is not None:
            return objection
    if policy.is_dry_run:
        return Decision("dry-run", "dry-run", "Every rule agrees to an interrupt, but the setting dryRun is true.")
    if policy.is_requested:
        return Decision("interrupt", "requested", "A human asked for the interrupt.")
    return Decision("interrupt", "hang-confirmed", "The instance did not execute the probe in time.")


def is_probe_needed(evidence: Evidence, policy: Policy) -> bool:
    """The probe takes most of a minute: true when nothing cheaper refuses and its answer decides."""
    if policy.is_requested:
        return False
    return decide(replace(evidence, is_probe_answered=False), policy).action != "refuse"
