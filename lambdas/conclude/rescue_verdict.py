"""Decides the verdict of a rescue and its reason. Pure. The dump volume itself was only copied, whatever happened."""

from dataclasses import dataclass, field

from lambdas.incident.record import Verdict


@dataclass(frozen=True, kw_only=True)
class RescueEnding:
    """The results of RescueVmcore's steps. `volume_id` is empty if it ended before it chose one."""

    volume_id: str = ""
    # Why the instance itself cannot upload its vmcore.
    because: str = ""
    error: str = ""
    cause: str = ""
    found_status: str = ""
    # An incomplete vmcore has no byte; the kernel's log lies beside it.
    is_empty: bool = False
    has_log: bool = False
    is_verified: bool = False
    is_opened: bool = False
    is_crash_expected: bool = False
    saw_crash_kernel: bool = False
    # What the clean-up could not remove in its time.
    left: tuple[str, ...] = field(default_factory=tuple)


def decide_rescue(ending: RescueEnding, *, instance_id: str, incident_id: str) -> tuple[Verdict, str]:
    """The verdict and why."""
    verdict, reason = _decide(ending, instance_id, incident_id)
    sentences = [ending.because or f"The vmcore was not collected from {instance_id} itself.", reason]
    if ending.left:
        sentences.append(f"The rescue could not remove {', '.join(ending.left)} yet: the next sweep does it.")
    return verdict, " ".join(sentences)


def _decide(ending: RescueEnding, instance_id: str, incident_id: str) -> tuple[Verdict, str]:
    volume = f"its dump volume {ending.volume_id}" if ending.volume_id else "its dump volume"
    if ending.is_verified:
        return _of_verified(ending, volume)
    message = f"{ending.error}: {ending.cause}" if ending.cause else ending.error
    if ending.error == "VmcoreNotFound" and ending.is_crash_expected and ending.saw_crash_kernel:
        return Verdict.PANIC_NO_DUMP, f"The kernel crashed, but {volume} holds no vmcore of it. {message}"
    if ending.error == "InstanceNotEnrolled":
        return Verdict.REFUSED, message
    if ending.error:
        again = (
            f'To try again, start RescueVmcore with {{"incidentId": "{incident_id}"}}, or, once {instance_id} is back,'
        )
        again += f' CollectVmcore with {{"instanceId": "{instance_id}"}}.'
        return Verdict.FAILED, f"Nothing was rescued. {message} The data on {volume} was not touched. {again}"
    if ending.found_status == "incomplete":
        return Verdict.INCOMPLETE, explain_incomplete(volume, is_empty=ending.is_empty, has_log=ending.has_log)
    return Verdict.FAILED, f"The rescue ended before it had any result. The data on {volume} was not touched."


def explain_incomplete(place: str, *, is_empty: bool, has_log: bool) -> str:
    """Why nothing more is in the bucket, and what of it is there."""
    log = "The log is in the bucket." if has_log else "There is no log beside it either; the console may tell more."
    if is_empty:
        return (
            f"The crash kernel wrote nothing into the vmcore on {place}: makedumpfile failed there. {log} The next dump"
            " fails the same way: check_kdump and docs/readiness.md help to find out why."
        )
    return f"The crash kernel did not finish the vmcore, which stays on {place}. {log}"


def _of_verified(ending: RescueEnding, volume: str) -> tuple[Verdict, str]:
    """A verified copy of a file that is no dump is not `rescued`."""
    reason = f"The vmcore was read from a copy of {volume} and is in the bucket, complete and identical"
    kept = f"It also stays on {ending.volume_id}, which was not touched."
    if ending.is_opened:
        return Verdict.RESCUED, f"{reason}, and opens. {kept}"
    if ending.error == "VmcoreUnreadable":
        return Verdict.INCOMPLETE, f"{reason}. It does not open as a dump. {ending.cause} {kept}"
    return Verdict.FAILED, f"{reason}. Could not check whether it opens: {ending.error}: {ending.cause} {kept}"
