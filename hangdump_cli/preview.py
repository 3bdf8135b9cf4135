"""Would Hangdump interrupt this instance if it hung now? Applies the stack's own rules to the facts known here. Pure.

What only the moment of a hang shows (the console, the proof, budgets, other alarms) is named, and not guessed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hangdump_cli.advice import next_step
from hangdump_cli.executions import Run
from hangdump_cli.instances import Checks, Instance, InstanceType
from lambdas.respond.decision import Evidence, Policy
from lambdas.respond.instance_rules import RULES
from lambdas.runtime import moment
from lambdas.runtime.stack_parameter import StackSettings
from lambdas.runtime.tags import DISARMED_TAG, READY_CONFIG_TAG, READY_KERNEL_TAG, ready_epoch

LEFT_OPEN = (
    "the console, the proof of the hang, an open incident, cooldown and budgets, other alarms, muted alarms, scheduled"
    " events and maintenance windows"
)
ON_THE_CONSOLE = (
    "It was started after it was seen ready. Whether that is ready-stale depends on what the boot printed on the"
    " console (docs/safety.md)."
)


@dataclass(frozen=True)
class Obstacle:
    """A rule that refuses, and what to do about it."""

    reason: str
    detail: str
    next_step: str


def obstacles(  # noqa: PLR0913 - what is known of one instance
    instance: Instance,
    kind: InstanceType | None,
    checks: Checks | None,
    *,
    settings: StackSettings,
    interrupts: str,
    now: datetime,
    collection: Run | None,
) -> list[Obstacle]:
    """Everything that would refuse; nothing when all that is known here agrees. `interrupts` is the kill switch."""
    found = []
    if collection is not None:
        detail = f"A dump is being collected since {moment.iso(collection.started_at)}: {collection.arn}"
        found.append(_obstacle(instance, "incident-open", detail))
    if interrupts != "on":
        found.append(_obstacle(instance, "kill-switch-off", "All interrupts are off."))
    evidence, policy = _evidence(instance, kind, checks, now), _policy(settings)
    for rule in RULES:
        decision = rule(evidence, policy)
        # A fact that nobody can know before the hang is no obstacle. What was never ready is not stale as well.
        known = {each.reason for each in found}
        if decision is None or decision.reason == "evidence-missing" or decision.reason in known:
            continue
        if decision.reason != "ready-stale" or "not-ready" not in known:
            found.append(_obstacle(instance, decision.reason, decision.detail))
    if settings.dry_run:
        found.append(_obstacle(instance, "dry-run", "The stack is deployed with dryRun: true."))
    return found


def why_stale(instance: Instance, settings: StackSettings, now: datetime) -> str:
    """Why the mark of an instance does not count any more; "" if it does, or if only the console can tell."""
    evidence, policy = _evidence(instance, None, None, now), _policy(settings)
    decisions = (rule(evidence, policy) for rule in RULES)
    return next((each.detail for each in decisions if each is not None and each.reason == "ready-stale"), "")


def depends_on_console(instance: Instance, settings: StackSettings) -> bool:
    """Whether only the console can tell that the last boot is proven: it came after the mark."""
    is_older = 0 < ready_epoch(instance.tags) < moment.epoch(instance.launched_at)
    return is_older and READY_CONFIG_TAG in instance.tags and not settings.ready_across_boots


def _obstacle(instance: Instance, reason: str, detail: str) -> Obstacle:
    return Obstacle(reason, detail, next_step(reason, instance.instance_id))


def _evidence(instance: Instance, kind: InstanceType | None, checks: Checks | None, now: datetime) -> Evidence:
    architectures: Sequence[str] | None = kind.architectures if kind else None
    return Evidence(
        now_epoch=moment.epoch(now),
        is_instance_known=True,
        is_enrolled=instance.is_enrolled,
        is_disarmed=DISARMED_TAG in instance.tags,
        ready_epoch=ready_epoch(instance.tags),
        ready_kernel=instance.tags.get(READY_KERNEL_TAG, ""),
        ready_config=instance.tags.get(READY_CONFIG_TAG, ""),
        # Nobody looks at the console here. A boot that may have printed the proven configuration is no obstacle.
        console_ready_config=instance.tags.get(READY_CONFIG_TAG, ""),
        instance_state=instance.state,
        launched_epoch=moment.epoch(instance.launched_at),
        # A reboot is seen on the console alone, so this is the last start.
        console_booted_epoch=0,
        is_booting=False,
        hypervisor=kind.hypervisor if kind else None,
        architectures=tuple(architectures) if architectures is not None else None,
        system_status=checks.system if checks else None,
        attached_ebs_status=checks.attached_ebs if checks else None,
    )


def _policy(settings: StackSettings) -> Policy:
    """Of an alarm. The rules about the instance read no budgets."""
    return Policy(
        cooldown_seconds=0,
        fleet_budget=0,
        zone_budget=0,
        group_budget=0,
        boot_grace_seconds=settings.boot_grace_seconds,
        impaired_seconds=0,
        ping_seconds=0,
        ready_max_age_seconds=settings.ready_max_age_days * 24 * 3600,
        is_ready_across_boots=settings.ready_across_boots,
        is_hypervisor_evidence_required=False,
        is_silence_interrupted=False,
        is_dry_run=settings.dry_run,
    )
