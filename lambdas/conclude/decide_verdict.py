"""Decides the verdict of an incident and its reason from the results of the steps. Pure."""

import json
from dataclasses import dataclass
from typing import Any

from lambdas.conclude.rescue_verdict import RescueEnding, decide_rescue, explain_incomplete
from lambdas.incident.record import Incident, Verdict
from lambdas.respond.interrupt import verdict_of_refusal
from lambdas.runtime.visible_text import one_line

_UNSUPPORTED = {
    "UnsupportedHypervisor",
    "UnsupportedArchitecture",
    "UnsupportedPlatform",
    "UnsupportedFamily",
    "NotNitro",
    "NoCrashDumpSupport",
}

# States.Timeout comes without a cause.
_NO_CAUSE = "A step timed out; the execution's history shows which."

# A cause may have 32 KiB. It is cut here, because the record, the notification and the page do not shorten it.
_LONGEST_TEXT = 2_000
_MOST_LEFT = 50


@dataclass(frozen=True, kw_only=True)
class Ending:
    """The results of CollectVmcore's steps. A field keeps its default if its step did not run."""

    verdict: str = ""
    reason: str = ""
    error: str = ""
    cause: str = ""
    phase: str = ""
    phase_detail: str = ""
    saw_crash_kernel: bool = False
    found_status: str = ""
    # An incomplete vmcore has no byte; the kernel's log lies beside it.
    is_empty: bool = False
    has_log: bool = False
    is_verified: bool = False
    is_opened: bool = False
    # A sentence for the user: whether the instance can dump again.
    readiness: str = ""
    is_crash_expected: bool = False
    # Why its parked dump volume was not attached; empty: it was, or it is not parked.
    unattached: str = ""
    # Why its crash kernel waited for the volume in vain, as it said itself.
    gave_up: str = ""
    # From the record: whether it panicked or may have been interrupted, and the decision's sentence for `reason`.
    is_crashed: bool = False
    decision_detail: str = ""


@dataclass(frozen=True)
class Conclusion:
    """The verdict, and the reason as sentences for users."""

    verdict: Verdict
    reason: str


def decide_verdict(ending: Ending, *, instance_id: str) -> Conclusion:
    """Uses the first there is: a verified upload, the state machine's verdict, the error, the file, the phase."""
    if ending.is_verified:
        return _of_verified(ending)
    own_verdict = _own_verdict(ending)
    if own_verdict is not None:
        return own_verdict
    if ending.error:
        return _of_error(ending, instance_id)
    if ending.found_status == "incomplete":
        reason = explain_incomplete("the instance", is_empty=ending.is_empty, has_log=ending.has_log)
        return Conclusion(Verdict.INCOMPLETE, reason)
    return _of_phase(ending, instance_id)


def read_cause(cause: str) -> str:
    """A Lambda's error arrives as {"errorMessage": "…", "errorType": "…", "stackTrace": […]}; others as plain text."""
    try:
        parsed = json.loads(cause)
    except ValueError:
        return cause
    return str(parsed.get("errorMessage", cause)) if isinstance(parsed, dict) else cause


def conclude(event: dict[str, Any], incident: Incident) -> Conclusion:
    """The conclusion of a collection or, if the event has `rescue`, of a rescue."""
    if "rescue" in event:
        rescued = decide_rescue(
            _read_rescue(event, incident), instance_id=incident.instance_id, incident_id=incident.incident_id
        )
        return Conclusion(*rescued)
    return decide_verdict(read_ending(event, incident), instance_id=incident.instance_id)


def _read_rescue(event: dict[str, Any], incident: Incident) -> RescueEnding:
    """Never raises, as read_ending."""
    ending, rescue = read_ending(event, incident), _object(event, "rescue")
    left, orphan = _object(event, "removed").get("left"), _object(event, "orphan")
    return RescueEnding(
        volume_id=_text(rescue, "volumeId"),
        because=_text(_object(event, "input"), "reason"),
        error=ending.error,
        cause=ending.cause,
        found_status=ending.found_status,
        is_empty=ending.is_empty,
        has_log=ending.has_log,
        is_verified=ending.is_verified,
        is_opened=ending.is_opened,
        is_crash_expected=ending.is_crash_expected,
        saw_crash_kernel=incident.saw_crash_kernel,
        is_volume_empty=_object(event, "copy").get("isEmpty") is True,
        is_volume_deleted=_text(orphan, "action") == "deleted" if orphan else None,
        why_kept=_text(orphan, "reason"),
        left=tuple(one_line(str(each), 100) for each in left[:_MOST_LEFT]) if isinstance(left, list) else (),
    )


def read_ending(event: dict[str, Any], incident: Incident) -> Ending:
    """Reads the event, which lacks the results of steps that did not run. Never raises: nothing runs after it."""
    error, watch, found, verified = (_object(event, name) for name in ("error", "watch", "found", "verified"))
    return Ending(
        verdict=_text(event, "verdict"),
        reason=_text(event, "reason"),
        error=_text(error, "Error"),
        cause=one_line(read_cause(str(error.get("Cause") or "")), _LONGEST_TEXT),
        phase=_text(watch, "phase"),
        phase_detail=_text(watch, "detail"),
        saw_crash_kernel=watch.get("sawCrashKernel") is True,
        found_status=_text(found, "status"),
        is_empty=_object(found, "vmcore").get("sizeBytes") == 0,
        has_log=bool(_object(found, "dmesg")),
        is_verified=verified.get("verified") is True,
        is_opened=bool(_object(event, "opened").get("kernelRelease")),
        readiness=_readiness(_object(event, "kdump"), _object(event, "unchecked"), _object(event, "unparked")),
        is_crash_expected=_object(event, "incident").get("isCrashExpected") is True,
        unattached=_failure(_object(event, "unattached")),
        gave_up=one_line(incident.dump_watch.gave_up, _LONGEST_TEXT) if incident.dump_watch else "",
        is_crashed=incident.is_crashed,
        decision_detail=incident.detail or "",
    )


def _failure(failed: dict[str, Any]) -> str:
    """The error and its cause; empty without one."""
    if not failed:
        return ""
    return f"{_text(failed, 'Error')}: {one_line(read_cause(str(failed.get('Cause') or _NO_CAUSE)), _LONGEST_TEXT)}"


def _readiness(kdump: dict[str, Any], failed: dict[str, Any], unparked: dict[str, Any]) -> str:
    if failed:
        return f"Could not check whether it can dump again: {_failure(failed)}"
    if not kdump:
        return ""
    if kdump.get("ready") is True:
        stays = f" Its dump volume stays attached: {_failure(unparked)}" if unparked else ""
        return f"It is ready to dump again.{stays}"
    findings = kdump.get("findings")
    codes = [_text(each, "code") for each in findings if isinstance(each, dict)] if isinstance(findings, list) else []
    return f"It is not ready to dump again ({one_line(', '.join(codes), _LONGEST_TEXT)}): run ProvisionDumpVolume."


def _object(event: dict[str, Any], name: str) -> dict[str, Any]:
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def _text(part: dict[str, Any], name: str) -> str:
    return one_line(str(part.get(name) or ""), _LONGEST_TEXT)


def _of_verified(ending: Ending) -> Conclusion:
    """A verified copy of a file that is no dump is not `captured`; the file then stays on the instance."""
    reason = "The vmcore is in the bucket, complete and identical to the one on the instance"
    message = f"{ending.error}: {ending.cause or _NO_CAUSE}"
    if not ending.is_opened:
        kept = f"{reason}. The file on the instance was not removed."
        if ending.error == "VmcoreUnreadable":
            return Conclusion(Verdict.INCOMPLETE, f"{kept} The vmcore does not open as a dump. {ending.cause}")
        return Conclusion(Verdict.FAILED, f"{kept} Could not check whether it opens: {message}")
    if ending.error:
        left = f"{reason}. It opens, but the file on the instance was not removed: {message}"
        return Conclusion(Verdict.CAPTURED, left)
    removed = f"{reason}. It opens, so the file on the instance was removed. {ending.readiness}"
    return Conclusion(Verdict.CAPTURED, removed.strip())


def _own_verdict(ending: Ending) -> Conclusion | None:
    """The state machine's own verdict; None for `captured`, which needs proof, and for `failed` with an error."""
    if ending.verdict not in set(Verdict) - {Verdict.CAPTURED}:
        return None
    verdict = Verdict(ending.verdict)
    if verdict == Verdict.FAILED and ending.error:
        return None
    if verdict == Verdict.REFUSED and ending.reason:
        return Conclusion(verdict_of_refusal(ending.reason), f"{ending.reason}. {ending.decision_detail}".strip())
    reason = ending.reason or ending.phase_detail or ending.cause
    return Conclusion(verdict, reason or f"The execution ended as {verdict.value}.")


def _of_error(ending: Ending, instance_id: str) -> Conclusion:
    message = f"{ending.error}: {ending.cause or _NO_CAUSE}"
    if ending.phase == "powered-off":
        reason = f"{ending.phase_detail} But it could not be started: {message} Start it yourself."
        return Conclusion(Verdict.FAILED, _with_retry(reason, ending, instance_id))
    is_without_volume = ending.unattached and ending.error == "DumpVolumeNotFound"
    if ending.is_crash_expected and (ending.error == "VmcoreNotFound" or is_without_volume):
        return Conclusion(
            Verdict.PANIC_NO_DUMP, f"The instance restarted, but left no vmcore. {_why_none(ending, message)}"
        )
    if ending.error in _UNSUPPORTED:
        return Conclusion(Verdict.UNSUPPORTED, message)
    if ending.error == "InstanceNotEnrolled":
        return Conclusion(Verdict.REFUSED, message)
    return Conclusion(Verdict.FAILED, _with_retry(message, ending, instance_id))


def _why_none(ending: Ending, message: str) -> str:
    if ending.unattached:
        return f"Its parked dump volume could not be attached: {ending.unattached}"
    if ending.gave_up:
        return f"Its crash kernel waited for the parked dump volume in vain: {ending.gave_up}. The console shows it."
    return message


def _of_phase(ending: Ending, instance_id: str) -> Conclusion:
    if ending.phase == "no-panic":
        return Conclusion(Verdict.NO_PANIC, ending.phase_detail)
    if ending.phase == "stopped":
        reason = f"{ending.phase_detail} Any dump is on its dump volume: start the instance, then collect it."
        return Conclusion(Verdict.FAILED, _with_retry(reason, ending, instance_id))
    is_late = ending.phase == "timed-out" and ending.saw_crash_kernel
    if is_late or ending.phase in ("stalled", "looping"):
        reason = f"{ending.phase_detail} Anything that was written is on the dump volume. The console is in the bucket."
        return Conclusion(Verdict.PANIC_NO_DUMP, _with_retry(reason, ending, instance_id))
    if ending.phase:
        return Conclusion(Verdict.FAILED, _with_retry(ending.phase_detail, ending, instance_id))
    return Conclusion(Verdict.FAILED, _with_retry("The execution ended before it had any result.", ending, instance_id))


def _with_retry(reason: str, ending: Ending, instance_id: str) -> str:
    """An interrupt is never sent again, but a dump that it made can be fetched at any time."""
    if not ending.is_crashed:
        return reason
    return f'{reason} To fetch a vmcore later, start CollectVmcore with {{"instanceId": "{instance_id}"}}.'
