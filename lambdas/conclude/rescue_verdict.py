"""How a rescue ended, in words: a pure function. The dump volume itself was only copied, whatever happened."""

from dataclasses import dataclass, field

from lambdas.incident.record import Verdict


@dataclass(frozen=True, kw_only=True)
class RescueEnding:
    """What RescueVmcore knows at its end; volume_id "" when it did not come to choose one."""

    volume_id: str = ""
    # Why the instance cannot be asked itself.
    because: str = ""
    error: str = ""
    cause: str = ""
    found_status: str = ""
    is_verified: bool = False
    is_opened: bool = False
    is_crash_expected: bool = False
    saw_crash_kernel: bool = False
    # What the clean-up could not remove in its time.
    left: tuple[str, ...] = field(default_factory=tuple)


def decide_rescue(ending: RescueEnding, *, instance_id: str, incident_id: str) -> tuple[Verdict, str]:
    """The verdict and why."""
    verdict, reason = _decide(ending, instance_id, incident_id)
    said = [ending.because or f"{instance_id} was not asked itself.", reason]
    if ending.left:
        said.append(f"Of the rescue {', '.join(ending.left)} could not be removed yet: the next sweep does it.")
    return verdict, " ".join(said)


def _decide(ending: RescueEnding, instance_id: str, incident_id: str) -> tuple[Verdict, str]:
    volume = f"its dump volume {ending.volume_id}" if ending.volume_id else "its dump volume"
    if ending.is_verified:
        return _of_verified(ending, volume)
    said = f"{ending.error}: {ending.cause}" if ending.cause else ending.error
    if ending.error == "VmcoreNotFound" and ending.is_crash_expected and ending.saw_crash_kernel:
        return Verdict.PANIC_NO_DUMP, f"The kernel crashed, but {volume} holds no vmcore of it. {said}"
    if ending.error == "InstanceNotEnrolled":
        return Verdict.REFUSED, said
    if ending.error:
        again = (
            f'To try again, start RescueVmcore with {{"incidentId": "{incident_id}"}}, or, once {instance_id} is back,'
        )
        again += f' CollectVmcore with {{"instanceId": "{instance_id}"}}.'
        return Verdict.FAILED, f"Nothing was rescued. {said} What lies on {volume} was not touched. {again}"
    if ending.found_status == "incomplete":
        return Verdict.INCOMPLETE, (
            f"The crash kernel did not finish the vmcore on {volume}, where it is left; the kernel's log is here."
        )
    return Verdict.FAILED, f"The rescue ended before it found out anything. What lies on {volume} was not touched."


def _of_verified(ending: RescueEnding, volume: str) -> tuple[Verdict, str]:
    """Identical is not enough: what the kernel left may be no dump."""
    reason = f"The vmcore was read from a copy of {volume} and is in the bucket, complete and identical"
    kept = f"It also lies on {ending.volume_id} still, which was not touched."
    if ending.is_opened:
        return Verdict.RESCUED, f"{reason}, and opens. {kept}"
    if ending.error == "VmcoreUnreadable":
        return Verdict.INCOMPLETE, f"{reason}. But it does not open as a dump. {ending.cause} {kept}"
    return Verdict.FAILED, f"{reason}. Whether it opens was not found out: {ending.error}: {ending.cause} {kept}"
