"""Gathers the facts that `decide` judges. A fact that cannot be read is None with a note, never a guess."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from lambdas import moment
from lambdas.environment import InterruptLimits
from lambdas.incident_table import IncidentTable
from lambdas.instance_facts import Instance, read_instance, read_instance_type, read_status_checks
from lambdas.respond_to_hang.decide import Evidence, Policy

Fact = TypeVar("Fact")


def gather(
    instance_id: str,
    *,
    is_alarm_on_status_check: bool | None,
    table: IncidentTable,
    limits: InterruptLimits,
    now: datetime,
) -> Evidence:
    """Everything but the probe, which is slow and asked only when all of this agrees."""
    notes: list[str] = []
    facts: dict[str, Any] = {"is_instance_known": None}
    is_read, instance = _read("DescribeInstances", lambda: read_instance(instance_id), notes)
    if is_read:
        facts["is_instance_known"] = instance is not None
    if instance is not None:
        facts |= _of_instance(instance) | _of_type(instance.instance_type, notes) | _of_status(instance_id, notes)
    window = limits.fleet_budget_window_seconds
    _, past = _read(
        "The incident table",
        lambda: table.past_interrupts(instance_id, window_seconds=window, now=now),
        notes,
    )
    if past is not None:
        facts["last_interrupt_epoch"] = past.last_interrupt_epoch
        facts["interrupts_in_window"] = past.interrupts_in_window
    return Evidence(
        now_epoch=moment.epoch(now), is_alarm_on_status_check=is_alarm_on_status_check, notes=tuple(notes), **facts
    )


def policy(limits: InterruptLimits, *, needs_second_signal: bool) -> Policy:
    """What the stack's settings allow."""
    return Policy(
        cooldown_seconds=limits.cooldown_seconds,
        fleet_budget=limits.fleet_budget,
        is_dry_run=limits.dry_run,
        needs_second_signal=needs_second_signal,
    )


def _of_instance(instance: Instance) -> dict[str, Any]:
    return {
        "is_enrolled": instance.is_enrolled,
        "is_ready": instance.is_ready,
        "instance_state": instance.state,
    }


def _of_type(instance_type: str, notes: list[str]) -> dict[str, Any]:
    _, described = _read("DescribeInstanceTypes", lambda: read_instance_type(instance_type), notes)
    if described is None:
        return {}
    return {"hypervisor": described.hypervisor, "architectures": described.architectures}


def _of_status(instance_id: str, notes: list[str]) -> dict[str, Any]:
    _, checks = _read("DescribeInstanceStatus", lambda: read_status_checks(instance_id), notes)
    if checks is None:
        return {}
    return {
        "system_status": checks.system,
        "instance_status": checks.instance,
        "attached_ebs_status": checks.attached_ebs,
    }


def _read(source: str, read: Callable[[], Fact | None], notes: list[str]) -> tuple[bool, Fact | None]:
    """Whether it could be read, and what it said."""
    try:
        return True, read()
    except (ClientError, BotoCoreError) as error:
        notes.append(f"{source}: {error}.")
        return False, None
