"""Auto Scaling groups: what Standby asks for and how it comes and goes, and the replacing of what is unhealthy."""

from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import (
    AutoScalingBackend,
    EnterStandbyActivity,
    ExitStandbyActivity,
    FakeAutoScalingGroup,
    InstanceState,
)

from lab.aws.patches import Patches
from lab.aws.state import AccountState

_DEREGISTRATION_DELAY = "deregistration_delay.timeout_seconds"
_DEFAULT_DELAY_SECONDS = 300


def install(patches: Patches, state: AccountState) -> None:
    """Real: Standby takes its time and has rules. moto: any instance, in any state, at once, above any maximum.

    That the way into Standby takes as long as the target groups' deregistration delay is inferred.
    """
    standby = _Standby(state)

    def enter(backend: AutoScalingBackend, *given: Any) -> list[EnterStandbyActivity]:
        return standby.enter(backend, *given)

    def leave(backend: AutoScalingBackend, *given: Any) -> list[ExitStandbyActivity]:
        return standby.leave(backend, *given)

    patches.replace(AutoScalingBackend, "enter_standby_instances", lambda _original: enter)
    patches.replace(AutoScalingBackend, "exit_standby_instances", lambda _original: leave)


def replace_unhealthy(state: AccountState) -> list[str]:
    """One health check of all groups, which the real service makes by itself, minutes after an instance is impaired.

    Only what is in service is checked; the ids of what was terminated, for which the groups launch others.
    """
    backend, terminated = state.backend("autoscaling"), []
    for group in list(backend.autoscaling_groups.values()):
        if not {"HealthCheck", "ReplaceUnhealthy", "Terminate"}.isdisjoint(_suspended(group)):
            continue
        for member in list(group.active_instances()):
            computer = state.computers.get(member.instance.id)
            if computer is not None and computer.instance_check == "impaired":
                state.events.emit("autoscaling", member.instance.id, f"unhealthy: terminated by {group.name}")
                backend.terminate_instance(member.instance.id, False)
                terminated.append(member.instance.id)
    return terminated


class _Standby:
    """The two calls, in place of moto's."""

    def __init__(self, state: AccountState) -> None:
        self._state = state

    def enter(
        self, backend: AutoScalingBackend, group_name: str, instance_ids: list[str], should_decrement: bool
    ) -> list[EnterStandbyActivity]:
        group = _group(backend, group_name)
        members = [_member(group, each, "InService") for each in instance_ids]
        capacity = int(group.desired_capacity or 0)
        remaining = capacity - len(members) if should_decrement else capacity
        if remaining < int(group.min_size or 0):
            raise ValidationError(f"AutoScalingGroup {group_name} has min-size={group.min_size}; it would be below.")
        for member in members:
            self._move(member, "EnteringStandby", "Standby", after_seconds=self._deregistration_seconds(group))
        activities = [EnterStandbyActivity(each.instance, capacity) for each in members]
        if "Launch" not in _suspended(group):
            # Launches what is missing in service.
            group.set_desired_capacity(remaining)
        group.desired_capacity = remaining
        return activities

    def leave(self, backend: AutoScalingBackend, group_name: str, instance_ids: list[str]) -> list[ExitStandbyActivity]:
        group = _group(backend, group_name)
        members = [_member(group, each, "Standby") for each in instance_ids]
        capacity = int(group.desired_capacity or 0)
        if capacity + len(members) > int(group.max_size or 0):
            raise ValidationError(
                f"AutoScalingGroup {group_name} has max-size={group.max_size}. Desired capacity would be above it."
            )
        group.desired_capacity = capacity + len(members)
        for member in members:
            self._move(member, "Pending", "InService", after_seconds=self._state.clock.settle_seconds)
        return [ExitStandbyActivity(each.instance, capacity) for each in members]

    def _move(self, member: InstanceState, first: str, then: str, *, after_seconds: float) -> None:
        member.lifecycle_state = first
        self._state.events.emit("autoscaling", member.instance.id, first)

        def settle() -> None:
            if self._state.pause(after_seconds) and member.lifecycle_state == first:
                member.lifecycle_state = then
                self._state.events.emit("autoscaling", member.instance.id, then)

        self._state.spawn(f"{then} of {member.instance.id}", settle)

    def _deregistration_seconds(self, group: FakeAutoScalingGroup) -> float:
        if not group.target_group_arns:
            return self._state.clock.settle_seconds
        targets = self._state.backend("elbv2").describe_target_groups(None, group.target_group_arns, None)
        delays = [float(each.attributes.get(_DEREGISTRATION_DELAY, _DEFAULT_DELAY_SECONDS)) for each in targets]
        return self._state.clock.scaled(max(delays))


def _group(backend: AutoScalingBackend, name: str) -> FakeAutoScalingGroup:
    if name not in backend.autoscaling_groups:
        raise ValidationError(f"AutoScalingGroup name not found - no such group: {name}")
    return backend.autoscaling_groups[name]


def _member(group: FakeAutoScalingGroup, instance_id: str, lifecycle_state: str) -> InstanceState:
    for member in group.instance_states:
        if member.instance.id == instance_id:
            if member.lifecycle_state != lifecycle_state:
                raise ValidationError(
                    f"The instance {instance_id} is not in {lifecycle_state}: it is {member.lifecycle_state}."
                )
            return member
    raise ValidationError(f"The instance {instance_id} is not part of Auto Scaling group {group.name}.")


def _suspended(group: Any) -> set[str]:
    return {each["ProcessName"] for each in group.suspended_processes}
