"""Watches each machine from outside, as EC2's status checks and the SSM agent's pings do. Owns no API."""

from typing import Any

from lab.aws.ec2 import Power
from lab.aws.state import AccountState, Computer, utc_now

# Real: EC2 checks and posts its metrics once a minute; the agent pings every five minutes.
CHECK_PERIOD_SECONDS = 60
PING_PERIOD_SECONDS = 300
# A guest under software emulation with every processor busy may need seconds for an answer.
ANSWER_TIMEOUT_SECONDS = 5.0
# A machine that fell silent is looked at more often than a minute would allow, so that its return is seen at once:
# a real agent reports in as soon as it starts.
SILENT_CHECK_SECONDS = 2.0


def watch(state: AccountState, computer: Computer, power: Power) -> None:
    """Check until the account closes or the instance is gone. Runs in a thread of its own for each computer."""
    while not state.closing.is_set() and state.computers.get(computer.instance_id) is computer:
        check_once(state, computer, power)
        period = state.clock.scaled(CHECK_PERIOD_SECONDS)
        with computer.lock:
            silent = computer.instance_check != "ok"
        if not state.pause(min(period, SILENT_CHECK_SECONDS) if silent else period):
            return


def check_once(state: AccountState, computer: Computer, power: Power) -> None:
    """One status check and, when the agent is due, one ping.

    Real: an ARP probe, which a hung user space can survive. Here: does the guest's agent execute something.
    """
    instance = state.backend("ec2").get_instance(computer.instance_id)
    if instance.state != "running":
        return
    if not computer.machine.is_running():
        power.found_off(instance, computer)
        return
    answers = computer.machine.answers(ANSWER_TIMEOUT_SECONDS)
    if state.closing.is_set() or instance.state != "running":
        return
    came_back = _record_check(state, computer, answers=answers)
    if answers:
        _ping(state, computer, is_due=came_back)


def _record_check(state: AccountState, computer: Computer, *, answers: bool) -> bool:
    """True when the machine answers again after it did not."""
    with computer.lock:
        before = computer.instance_check
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
    return after == "ok" != before


def _ping(state: AccountState, computer: Computer, *, is_due: bool) -> None:
    if not computer.in_ssm:
        return
    period = state.clock.scaled(PING_PERIOD_SECONDS)
    with computer.lock:
        last = computer.last_ping
        if is_due or last is None or (utc_now() - last).total_seconds() >= period:
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
            "StatusCheckFailed_AttachedEBS": computer.attached_ebs_check == "impaired",
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
