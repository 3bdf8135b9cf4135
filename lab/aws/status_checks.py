"""Watches each machine from outside, as EC2's status checks and the SSM agent's pings do. Owns no API."""

from datetime import UTC, datetime
from typing import Any

from lab.aws.ec2 import Power
from lab.aws.state import AccountState, Computer, utc_now

# Real: EC2 checks and posts its metrics once a minute; the agent pings every five minutes.
CHECK_PERIOD_SECONDS = 60
PING_PERIOD_SECONDS = 300
# A guest under software emulation with every processor busy may need seconds for an answer.
ANSWER_TIMEOUT_SECONDS = 5.0


def watch(state: AccountState, computer: Computer, power: Power) -> None:
    """Check until the account closes or the instance is gone. Runs in a thread of its own for each computer."""
    while not state.closing.is_set() and state.computers.get(computer.instance_id) is computer:
        check_once(state, computer, power)
        period = state.clock.scaled(CHECK_PERIOD_SECONDS)
        with computer.lock:
            silent = computer.instance_check != "ok" or computer.is_agent_silent
        if not state.pause(min(period, state.silent_check_seconds) if silent else period):
            return


def check_once(state: AccountState, computer: Computer, power: Power) -> None:
    """One status check and, when the agent is due, one ping.

    Real: an ARP probe, which a hung user space can survive; the agent speaks over the same network. The same here.
    """
    instance = state.backend("ec2").get_instance(computer.instance_id)
    if instance.state != "running":
        return
    if not computer.machine.is_running():
        power.found_off(instance, computer)
        return
    answers_arp = computer.machine.answers_arp(ANSWER_TIMEOUT_SECONDS)
    agent_answers = answers_arp and computer.machine.answers(ANSWER_TIMEOUT_SECONDS)
    has_stalled_volume = bool(computer.machine.stalled_volumes())
    if state.closing.is_set() or instance.state != "running":
        return
    _record_check(state, computer, answers=answers_arp, has_stalled_volume=has_stalled_volume)
    _record_ping(state, computer, answers=agent_answers)


def _record_check(state: AccountState, computer: Computer, *, answers: bool, has_stalled_volume: bool) -> None:
    with computer.lock:
        before = computer.instance_check
        computer.has_stalled_volume = has_stalled_volume
        if answers:
            computer.instance_check, computer.impaired_since = "ok", None
        elif before != "initializing":
            computer.instance_check = "impaired"
            computer.impaired_since = computer.impaired_since or utc_now()
        after = computer.instance_check
    if after != before:
        state.events.emit("ec2", computer.instance_id, f"instance status check: {before} -> {after}")
        if after == "ok":
            computer.posted_console = computer.machine.console()


def _record_ping(state: AccountState, computer: Computer, *, answers: bool) -> None:
    """An agent that comes back pings at once."""
    period = state.clock.scaled(PING_PERIOD_SECONDS)
    with computer.lock:
        came_back, computer.is_agent_silent = computer.is_agent_silent, not answers
        if not (answers and computer.in_ssm):
            return
        last = computer.last_ping
        if came_back or last is None or (utc_now() - last).total_seconds() >= period:
            computer.last_ping = utc_now()


def ping_status(state: AccountState, computer: Computer) -> str:
    """Online until two pings in a row are missing; real: "after about five minutes"."""
    with computer.lock:
        last = computer.last_ping
    if last is None:
        return "ConnectionLost"
    silent_seconds = (utc_now() - last).total_seconds()
    limit = 2 * state.clock.scaled(PING_PERIOD_SECONDS) + ANSWER_TIMEOUT_SECONDS
    return "Online" if silent_seconds < limit else "ConnectionLost"


def stretch_past(state: AccountState, computer: Computer) -> None:
    """From now on, what was observed of the instance s seconds ago was observed s / scale seconds ago.

    Hangdump's rules count AWS's minutes, and the account's own are shorter (Clock.scale).
    """
    now = utc_now()

    def stretched(at: datetime) -> datetime:
        return now - (now - at) / state.clock.scale

    with computer.lock:
        if computer.impaired_since is not None:
            computer.impaired_since = stretched(computer.impaired_since)
        if computer.last_ping is not None:
            computer.last_ping = stretched(computer.last_ping)
    instance = state.backend("ec2").get_instance(computer.instance_id)
    launched_at = instance.launch_time.replace(tzinfo=UTC)
    computer.boot_moved_back += launched_at - stretched(launched_at)
    instance.launch_time = stretched(launched_at).replace(tzinfo=None)
    for datum in list(state.backend("cloudwatch").metric_data):
        is_its = any(each.value == computer.instance_id for each in datum.dimensions)
        if is_its and datum.namespace == "AWS/EC2":
            datum.timestamp = stretched(datum.timestamp)


def post_metrics(state: AccountState) -> None:
    """Every instance's last known checks, once for each period of the alarms' clock.

    Not where a check ends: one of a hung machine takes longer than a shrunk minute, and alarms would miss data.
    """
    for computer in list(state.computers.values()):
        if state.backend("ec2").get_instance(computer.instance_id).state == "running":
            _post_metrics_of(state, computer)


def _post_metrics_of(state: AccountState, computer: Computer) -> None:
    with computer.lock:
        if computer.instance_check == "initializing":
            return
        failed = {
            "StatusCheckFailed_Instance": computer.instance_check == "impaired",
            "StatusCheckFailed_System": computer.system_check == "impaired",
            "StatusCheckFailed_AttachedEBS": computer.attached_ebs_status == "impaired",
        }
    failed["StatusCheckFailed"] = any(failed.values())
    now = utc_now()
    data: list[dict[str, Any]] = [
        {
            "MetricName": name,
            "Value": float(value),
            "Timestamp": now,
            "Unit": "Count",
            "Dimensions": [{"Name": "InstanceId", "Value": computer.instance_id}],
        }
        for name, value in failed.items()
    ]
    state.backend("cloudwatch").put_metric_data("AWS/EC2", data)
