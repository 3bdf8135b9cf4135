"""Reads the switch that stops every interrupt in the account and Region: a Systems Manager parameter, `on` or `off`.

It is read with the evidence, so that an interrupt that it stops claims nothing, and again as the last step before the
call.
"""

from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.runtime import clients
from lambdas.runtime.environment import KillSwitch


@dataclass(frozen=True)
class Obstacle:
    """`reason` is the code for the record and the advice; `detail` explains it."""

    reason: str
    detail: str


# Exactly this value; " on" or "On" leave doubt.
_ON = "on"


def are_interrupts_on() -> bool:
    """Whether the parameter says `on`; raises ClientError or BotoCoreError when it cannot be read."""
    return _read() == _ON


def read_stop() -> Obstacle | None:
    """None: the interrupt may be sent. A switch that cannot be read counts as off."""
    try:
        stop = why_stopped()
    except (ClientError, BotoCoreError) as error:
        name = KillSwitch.read().kill_switch_parameter
        return Obstacle("kill-switch-unreadable", f"The parameter {name} could not be read: {error}.")
    return Obstacle("kill-switch-off", stop) if stop else None


def why_stopped() -> str:
    """Empty: the switch is on. Raises ClientError or BotoCoreError when it cannot be read."""
    value = _read()
    name = KillSwitch.read().kill_switch_parameter
    return "" if value == _ON else f"The parameter {name} is {value!r}, not {_ON!r}: nothing is interrupted."


def _read() -> str:
    # Never cached: the switch must take effect with the next call.
    name = KillSwitch.read().kill_switch_parameter
    return clients.ssm_short_retry().get_parameter(Name=name)["Parameter"].get("Value", "")
