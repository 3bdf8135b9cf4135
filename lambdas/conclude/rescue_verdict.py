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
    # Whether the rescue instance saw that nothing is on the volume.
    is_volume_empty: bool = False
    # Whether the volume was deleted, and if not, why; None: nobody asked, as its instance exists.
    is_volume_deleted: bool | None = None
    why_kept: str = ""
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
    if ending.error == "VmcoreNotFound" and (without := _of_no_vmcore(ending, volume, message)):
        return without
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


def _of_no_vmcore(ending: RescueEnding, volume: str, message: str) -> tuple[Verdict, str] | None:
    """None: nothing says whether there was a crash."""
    if ending.is_crash_expected:
        reason = f"The kernel crashed, but {volume} holds no vmcore of it. {message}"
        return (Verdict.PANIC_NO_DUMP, reason) if ending.saw_crash_kernel else None
    if ending.is_volume_empty:
        return Verdict.NO_PANIC, f"No kernel wrote a dump: {volume} is empty. {_volume_now(ending)}".strip()
    return None


def explain_incomplete(place: str, *, is_empty: bool, has_log: bool) -> str:
    """Why nothing more is in the bucket, and what of it is there."""
    log = "The log is in the bucket." if has_log else "There is no log beside it either; the console may tell more."
    if is_empty:
        return (
            f"The crash kernel wrote nothing into the vmcore on {place}: makedumpfile failed there. {log} The next dump"
            " fails the same way: check_kdump and docs/readiness.md help to find out why."
        )
    return f"The crash kernel did not finish the vmcore, which stays on {place}. {log}"


def _volume_now(ending: RescueEnding) -> str:
    if ending.is_volume_deleted is None:
        return ""
    if ending.is_volume_deleted:
        return f"{ending.volume_id} was deleted: its instance is terminated, and nothing else of value was on it."
    return f"{ending.volume_id} was not touched: {ending.why_kept}."


def _of_verified(ending: RescueEnding, volume: str) -> tuple[Verdict, str]:
    """A verified copy of a file that is no dump is not `rescued`."""
    reason = f"The vmcore was read from a copy of {volume} and is in the bucket, complete and identical"
    kept = _volume_now(ending) or f"It also stays on {ending.volume_id}, which was not touched."
    if ending.is_opened:
        return Verdict.RESCUED, f"{reason}, and opens. {kept}"
    if ending.error == "VmcoreUnreadable":
        return Verdict.INCOMPLETE, f"{reason}. It does not open as a dump. {ending.cause} {kept}"
    return Verdict.FAILED, f"{reason}. Could not check whether it opens: {ending.error}: {ending.cause} {kept}"
