"""Moves an instance of an Auto Scaling group into Standby before the interrupt, and back afterwards.

The move is recorded before it is requested, so return_from_standby brings the instance back whatever happens. The
sweep reports an instance that nobody brought back.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.incident.record import Incident, timeline_entry
from lambdas.incident.table import IncidentTable
from lambdas.instance.auto_scaling import Membership, read_membership
from lambdas.respond.kill_switch import Obstacle, read_stop
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import ReturnFunction, Standby
from lambdas.runtime.observability import logger

IN_SERVICE = "InService"
ENTERING_STANDBY = "EnteringStandby"
STANDBY = "Standby"
# Also Terminating:Wait and Terminating:Proceed, with a lifecycle hook.
TERMINATING = "Terminating"


def enter_standby(instance_id: str, group: str) -> None:
    """Never retried: if the answer is lost, read_membership shows the outcome.

    The desired capacity stays, so the group launches a replacement: a hung instance serves nobody.
    """
    clients.autoscaling_without_retries().enter_standby(
        InstanceIds=[instance_id], AutoScalingGroupName=group, ShouldDecrementDesiredCapacity=False
    )


def exit_standby(instance_id: str, group: str) -> None:
    """Raises the group's desired capacity by one. Auto Scaling refuses that if the group is at its maximum."""
    clients.autoscaling_without_retries().exit_standby(InstanceIds=[instance_id], AutoScalingGroupName=group)


UNAVAILABLE = "standby-unavailable"

_ENTER_POLL_SECONDS = 5
_OFF = "off"
_PREFERRED = "preferred"

Clock = Callable[[], datetime]


def stand_by(incident: Incident, *, table: IncidentTable, clock: Clock) -> Obstacle | None:
    """Call it only with the claim. None: the instance is in Standby, needs none, or may be interrupted without."""
    settings = Standby.read()
    if settings.auto_scaling_standby == _OFF:
        return None
    try:
        obstacle = _enter(incident, settings, table, clock)
    except (ClientError, BotoCoreError) as error:
        obstacle = Obstacle(UNAVAILABLE, f"The instance's state in Auto Scaling could not be read: {error}.")
    if obstacle is None or obstacle.reason != UNAVAILABLE:
        return obstacle
    logger.warning("No Standby: %s", obstacle.detail)
    table.update(incident.incident_id, {}, timeline=[timeline_entry(clock(), UNAVAILABLE, obstacle.detail)])
    return None if settings.auto_scaling_standby == _PREFERRED else obstacle


def ask_for_return(incident: Incident) -> None:
    """For a refused interrupt: no execution follows that would bring the instance back."""
    if not incident.auto_scaling_group:
        return
    event = {"incident": {"incidentId": incident.incident_id}}
    try:
        # Asynchronous: the instance may still be entering Standby, and the notification must not wait for that.
        clients.lambda_().invoke(
            FunctionName=ReturnFunction.read().return_from_standby,
            InvocationType="Event",
            Payload=json.dumps(event).encode(),
        )
    except (ClientError, BotoCoreError):
        logger.exception("%s stays in Standby; the sweep will report it", incident.instance_id)


def _enter(incident: Incident, settings: Standby, table: IncidentTable, clock: Clock) -> Obstacle | None:
    member = read_membership(incident.instance_id)
    # If somebody else put it into Standby, it is safe, and they bring it back.
    if member is None or member.lifecycle_state == STANDBY:
        return None
    if member.lifecycle_state == IN_SERVICE:
        return _move(incident, member, settings, table, clock)
    return _wait(incident, member, settings, table, clock)


def _move(
    incident: Incident, member: Membership, settings: Standby, table: IncidentTable, clock: Clock
) -> Obstacle | None:
    # interrupt.py reads the switch again; reading it here avoids a useless move when it is off.
    stop = read_stop()
    if stop is not None:
        return stop
    entry = timeline_entry(clock(), "entering-standby", member.group)
    table.update(incident.incident_id, {"autoScalingGroup": member.group}, timeline=[entry])
    refusal = _ask(incident.instance_id, member)
    if refusal is not None:
        table.update(incident.incident_id, {"autoScalingGroup": ""})
        return refusal
    return _wait(incident, read_membership(incident.instance_id), settings, table, clock)


def _ask(instance_id: str, member: Membership) -> Obstacle | None:
    """None when the instance enters Standby, or may do so: the answer can be lost."""
    try:
        enter_standby(instance_id, member.group)
    except (ClientError, BotoCoreError) as error:
        now = read_membership(instance_id)
        if isinstance(error, ClientError) and now is not None and now.lifecycle_state == IN_SERVICE:
            return Obstacle(UNAVAILABLE, f"The Auto Scaling group {member.group} refused Standby: {error}.")
    return None


def _wait(
    incident: Incident, member: Membership | None, settings: Standby, table: IncidentTable, clock: Clock
) -> Obstacle | None:
    began = clock()
    while True:
        if member is None:
            return Obstacle(UNAVAILABLE, "It has left its Auto Scaling group.")
        # Terminating: too late for Standby, but the dump volume outlives the instance, and every second counts.
        for event, state in (("in-standby", STANDBY), ("terminating", TERMINATING)):
            if member.lifecycle_state.startswith(state):
                entry = timeline_entry(clock(), event, f"{member.lifecycle_state} in {member.group}")
                table.update(incident.incident_id, {}, timeline=[entry])
                return None
        state = f"{member.lifecycle_state} in the Auto Scaling group {member.group}"
        if member.lifecycle_state not in (ENTERING_STANDBY, IN_SERVICE):
            return Obstacle(UNAVAILABLE, f"It is {state}.")
        waited_seconds = int((clock() - began).total_seconds())
        if waited_seconds >= settings.standby_timeout_seconds:
            why = "is a lifecycle hook or a deregistration delay longer than that?"
            return Obstacle(UNAVAILABLE, f"It is still {state} after {waited_seconds} s: {why}")
        time.sleep(_ENTER_POLL_SECONDS)
        member = read_membership(incident.instance_id)


# Less than the function's timeout: the rest is for the notification.
WAIT_SECONDS = 780
_EXIT_POLL_SECONDS = 10
# Transient errors: the next poll tries again.
_PASSING = ("ResourceContention", "ScalingActivityInProgress", "Throttling", "InternalFailure", "ServiceUnavailable")


@dataclass(frozen=True)
class Return:
    """none: this incident moved nothing · returned · gone: others took it out of Standby · left: still in Standby."""

    status: Literal["none", "returned", "gone", "left"]
    detail: str = ""


def bring_back(instance_id: str, group: str) -> Return:
    """Polls until the instance leaves Standby, or until WAIT_SECONDS have passed."""
    began = moment.now()
    while True:
        problem = ""
        try:
            member = read_membership(instance_id)
            if member is None:
                return Return("gone", f"It is no longer in the Auto Scaling group {group}.")
            if member.lifecycle_state == STANDBY:
                exit_standby(instance_id, member.group)
                return Return("returned", f"It goes back into service in the Auto Scaling group {member.group}.")
            if member.lifecycle_state != ENTERING_STANDBY:
                return Return("gone", f"It is {member.lifecycle_state} in the Auto Scaling group {member.group}.")
            problem = f"It is still {ENTERING_STANDBY}."
        except ClientError as error:
            problem = f"{error}."
            if error.response["Error"]["Code"] not in _PASSING:
                return Return("left", problem)
        except BotoCoreError as error:
            problem = f"{error}."
        # If the answer of a call was lost, the next poll shows the outcome.
        if (moment.now() - began).total_seconds() >= WAIT_SECONDS:
            return Return("left", problem)
        time.sleep(_EXIT_POLL_SECONDS)
