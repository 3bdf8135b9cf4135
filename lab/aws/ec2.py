"""EC2 instances that are machines: interrupt, console, status checks, power. Volumes are in ebs.py."""

import re
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance, StateReason
from moto.ec2.responses import EC2Response

from lab.aws import console
from lab.aws.console import computer_of
from lab.aws.eventbridge import Notify
from lab.aws.patches import Patches
from lab.aws.state import AccountState, Computer, utc_now

_STATE_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
_BY_ITSELF = "Client.InstanceInitiatedShutdown"
# i-0123456789abcdef0, or the eight digits of older instances
_INSTANCE_ID = re.compile(r"i-([0-9a-f]{8}|[0-9a-f]{17})")


def install(patches: Patches, state: AccountState, power: "Power") -> None:
    _install_diagnostic_interrupt(patches, state)
    console.install(patches, state)
    _install_status(patches, state)
    _install_power(patches, power)


def _install_diagnostic_interrupt(patches: Patches, state: AccountState) -> None:
    """Real: an NMI; Nitro x86_64 only, running only. moto: not implemented. Here: the machine's inject_nmi().

    The code for an unsupported type is not documented; `UnsupportedOperation` is what sibling calls give.
    """

    def send_diagnostic_interrupt(response: EC2Response) -> EmptyResult:
        instance_id = response._get_param("InstanceId")
        if not _INSTANCE_ID.fullmatch(instance_id or ""):
            raise EC2ClientError("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
        instance = response.ec2_backend.get_instance(instance_id)
        response.error_on_dryrun()
        if instance.state != "running":
            raise EC2ClientError(
                "IncorrectInstanceState", f"The instance '{instance_id}' is not in the 'running' state."
            )
        if not takes_diagnostic_interrupt(response.ec2_backend, instance):
            raise EC2ClientError(
                "UnsupportedOperation",
                f"The instance type '{instance.instance_type}' does not support diagnostic interrupts.",
            )
        state.events.emit("ec2", instance_id, "diagnostic interrupt: NMI delivered")
        computer_of(state, instance_id).machine.inject_nmi()
        return EmptyResult()

    patches.add(EC2Response, "send_diagnostic_interrupt", send_diagnostic_interrupt)


def takes_diagnostic_interrupt(backend: EC2Backend, instance: Instance) -> bool:
    """Nitro or bare metal, and x86_64: the User Guide excludes Graviton."""
    types = backend.describe_instance_types([instance.instance_type])
    if not types or instance.architecture != "x86_64":
        return False
    described = types[0]
    return described.get("Hypervisor") == "nitro" or bool(described.get("BareMetal"))


def _install_status(patches: Patches, state: AccountState) -> None:
    """Real: ARP and hypervisor checks once a minute. moto: always ok. Here: status_checks.py's last."""

    def status_of(kind: str) -> property:
        def read(instance: Instance) -> dict[str, Any]:
            computer = state.computers.get(instance.id)
            if instance.state_code != _STATE_CODES["running"] or computer is None:
                return {"Status": "not-applicable"}
            with computer.lock:
                status = getattr(computer, kind)
                since = computer.impaired_since
            detail: dict[str, Any] = {
                "Name": "reachability",
                "Status": {"ok": "passed", "impaired": "failed", "initializing": "initializing"}[status],
            }
            if status == "impaired":
                detail["ImpairedSince"] = since or utc_now()
            return {"Status": status, "Details": [detail]}

        return property(read)

    patches.replace(EC2Backend, "describe_instance_status", _with_filters)
    patches.replace(EC2Response, "describe_instance_credit_specifications", lambda _original: _credit_specifications)
    patches.replace(Instance, "instance_status", lambda _original: status_of("instance_check"))
    patches.replace(Instance, "system_status", lambda _original: status_of("system_check"))
    patches.add(Instance, "attached_ebs_status", status_of("attached_ebs_status"))


def _credit_specifications(response: EC2Response) -> ActionResult:
    """Real: T2 is `standard` by default, later types are `unlimited`. moto: always standard. Here: the defaults."""
    ids = response._get_param("InstanceIds", [])
    instances = response.ec2_backend.describe_instance_credit_specifications(ids)
    modes = {each.id: "standard" if each.instance_type.startswith("t2.") else "unlimited" for each in instances}
    return ActionResult(
        {"InstanceCreditSpecifications": [{"InstanceId": name, "CpuCredits": mode} for name, mode in modes.items()]}
    )


def _with_filters(original: Any) -> Any:
    """Real: a dozen filters. moto: none of these. Here: the two that Hangdump uses."""

    def describe(backend: EC2Backend, instance_ids: list[str], include_all: bool, filters: Any) -> list[Instance]:
        asked = {each["name"]: each["values"] for each in filters or []}
        zones, statuses = asked.pop("availability-zone", None), asked.pop("instance-status.status", None)
        if asked:
            raise NotImplementedError(f"DescribeInstanceStatus: the filters {sorted(asked)} are not emulated")
        found: list[Instance] = original(backend, instance_ids, include_all, [])
        return [
            each
            for each in found
            if (zones is None or each._placement.zone in zones)
            and (statuses is None or each.instance_status["Status"] in statuses)
        ]

    return describe


class Power:
    """Real: stop, start, reboot and terminate act on hardware, over seconds. moto: a change of a word.

    Here: the machine is driven in the background, and the word changes when it has happened.
    """

    def __init__(self, state: AccountState, notify: Notify) -> None:
        self._state = state
        self._notify = notify

    def enter(self, instance: Instance, name: str) -> None:
        instance._state.name, instance._state.code = name, _STATE_CODES[name]
        self._state.events.emit("ec2", instance.id, f"instance {name}")
        self._notify(
            "aws.ec2",
            "EC2 Instance State-change Notification",
            {"instance-id": instance.id, "state": name},
            [f"arn:aws:ec2:{self._state.region}:{self._state.account_id}:instance/{instance.id}"],
        )

    def start(self, instance: Instance, computer: Computer) -> None:
        with computer.lock:
            computer.instance_check, computer.impaired_since = "initializing", None
        self.enter(instance, "pending")

        def run() -> None:
            computer.machine.start()
            self.enter(instance, "running")

        self._state.spawn(f"start {instance.id}", run)

    def stop(self, instance: Instance, computer: Computer, *, then: str = "stopped") -> None:
        self.enter(instance, "stopping" if then == "stopped" else "shutting-down")

        def run() -> None:
            computer.machine.stop()
            self._post_console(computer)
            self.enter(instance, then)

        self._state.spawn(f"stop {instance.id}", run)

    def reboot(self, instance: Instance, computer: Computer) -> None:
        self._state.events.emit("ec2", instance.id, "reboot requested")

        def run() -> None:
            self._post_console(computer)
            computer.machine.reboot()

        self._state.spawn(f"reboot {instance.id}", run)

    def found_off(self, instance: Instance, computer: Computer) -> None:
        """The operating system switched itself off: what becomes of the instance is its shutdown behavior's to say.

        Real: by way of stopping or shutting-down; StateTransitionReason is then empty (inferred).
        """
        if instance.state != "running":
            return
        self._post_console(computer)
        instance._reason = ""
        instance.state_reason = StateReason(f"{_BY_ITSELF}: Instance initiated shutdown", _BY_ITSELF)
        is_to_end = instance.instance_initiated_shutdown_behavior == "terminate"
        if is_to_end:
            # With the volumes whose DeleteOnTermination says so.
            computer.is_ending = True
            instance.teardown_defaults()
        self.enter(instance, "terminated" if is_to_end else "stopped")

    def _post_console(self, computer: Computer) -> None:
        computer.posted_console = computer.machine.console()


def _install_power(patches: Patches, power: Power) -> None:
    state = power._state

    def drive(verb: str, act: Callable[[Instance, Computer], None]) -> None:
        def make(original: Any) -> Any:
            def replacement(backend: EC2Backend, instance_ids: list[str]) -> Any:
                before = {i: backend.get_instance(i).state for i in instance_ids}
                if verb == "start":
                    _check_start(state, before)
                for instance_id in instance_ids:
                    if verb == "terminate" and instance_id in state.computers:
                        state.computers[instance_id].is_ending = True
                result = original(backend, instance_ids)
                for instance_id in instance_ids:
                    instance, computer = backend.get_instance(instance_id), state.computers.get(instance_id)
                    if computer is None or (verb, before[instance_id]) in _NOTHING_TO_DO:
                        continue
                    act(instance, computer)
                return result

            return replacement

        patches.replace(EC2Backend, f"{verb}_instances", make)

    def terminate(instance: Instance, computer: Computer) -> None:
        power.stop(instance, computer, then="terminated")

    drive("start", power.start)
    drive("stop", power.stop)
    drive("reboot", power.reboot)
    drive("terminate", terminate)


def _check_start(state: AccountState, states: dict[str, str]) -> None:
    """Real: only a stopped instance starts; one that runs stays as it is. moto: any."""
    for instance_id, name in states.items():
        if name not in ("stopped", "pending", "running"):
            raise EC2ClientError(
                "IncorrectInstanceState",
                f"The instance '{instance_id}' is not in a state from which it can be started.",
            )
        computer = state.computers.get(instance_id)
        if computer is not None and computer.refuses_to_start and name == "stopped":
            raise EC2ClientError(computer.refuses_to_start, f"The instance '{instance_id}' cannot be started now.")


_NOTHING_TO_DO = {
    ("start", "running"),
    ("start", "pending"),
    ("stop", "stopped"),
    ("terminate", "terminated"),
    ("reboot", "stopped"),
}
