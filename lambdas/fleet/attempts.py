"""When an instance is tried again, and what an attempt came to. Pure."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from lambdas.fleet.row import FleetRow, Reason, Status
from lambdas.runtime import errors, moment
from lambdas.runtime.errors import (
    HangdumpError,
    InstanceNotManaged,
    InstanceUnreachable,
    KdumpNotReady,
    ProvisioningInProgress,
    ProvisioningUnfinished,
)
from lambdas.runtime.visible_text import one_line

# 1, 2, 4, 8, 16, 24, 24 … hours.
_LONGEST_HOURS = 24
# Of a reason: the instance is in service in a group that might replace it.
REBOOT_REFUSED = "reboot-refused"
_LONGEST_TEXT = 500
_MOST_REASONS = 20
# They say something of the request, not of the instance: whoever made it was told.
_OF_THE_REQUEST = {
    each.__name__
    for each in (errors.InvalidInput, errors.InstanceNotFound, errors.InstanceNotEnrolled, errors.InstanceNotRunning)
}
_UNSUPPORTED = {
    *(name for name in vars(errors) if name.startswith("Unsupported")),
    *(each.__name__ for each in (errors.NotNitro, errors.NoCrashDumpSupport, errors.ReadOnlyRoot)),
    errors.InsufficientMemory.__name__,
}
# After this DynamoDB may forget a retired row, and with it the owner's overrides.
_KEPT_AFTER_RETIREMENT = timedelta(days=30)


def next_attempt_at(attempts: int, now: datetime) -> str:
    """After this many attempts that did not make the instance ready."""
    # Without the bound a row of years would give a number that no date holds.
    hours = min(_LONGEST_HOURS, 2 ** min(max(attempts, 1) - 1, 10))
    return moment.iso(now + timedelta(hours=hours))


def with_status(row: FleetRow, status: Status, *reasons: Reason, now: datetime) -> FleetRow:
    """The row with another status and its reasons; `since` stays while the status does."""
    since = row.since if row.status is status and row.since else moment.iso(now)
    return replace(row, status=status, reasons=reasons, since=since)


def is_of_the_request(error: str) -> bool:
    """Whether an error is the request's alone, so that the row of its instance stays as it is."""
    return error in _OF_THE_REQUEST or error == ProvisioningInProgress.__name__


def after_success(row: FleetRow, outcome: Mapping[str, Any], *, configuration_id: str, now: datetime) -> FleetRow:
    """After a provisioning that ended well: ready, or as far as it comes without a reboot."""
    kdump = outcome.get("kdump") or {}
    row = replace(
        row,
        kernel=kdump.get("kernel", row.kernel),
        boot_id=kdump.get("bootId", row.boot_id),
        family=(kdump or outcome.get("configuration") or {}).get("family", row.family),
        volume_id=outcome.get("volumeId", row.volume_id),
        configuration_id=configuration_id,
        tried_at=moment.iso(now),
        tried_configuration_id=configuration_id,
        error="",
    )
    if outcome["status"] == Status.READY:
        ready = replace(row, attempts=0, next_attempt_at="", rebooted_at="")
        return with_status(ready, Status.READY, *_notes(outcome), now=now)
    # Nothing tells of a reboot, so a look now and then has to.
    row = replace(row, attempts=row.attempts + 1, next_attempt_at=next_attempt_at(row.attempts + 1, now))
    # Its documents ran, and it was not rebooted: nobody has to wait for it.
    row = replace(row, rebooted_at="")
    why_not = outcome.get("whyNotReboot")
    observed = _line(why_not or "The crash kernel's memory is reserved at boot.")
    code = REBOOT_REFUSED if why_not else "reboot-required"
    reason = Reason(code=code, observed=observed, remedy="Reboot it when it suits you.")
    return with_status(row, Status.REBOOT_REQUIRED, reason, now=now)


def after_failure(row: FleetRow, error: str, cause: str, *, configuration_id: str, now: datetime) -> FleetRow:
    """After an attempt that failed, to provision or to retire."""
    attempts = row.attempts + 1
    row = replace(
        row,
        tried_at=moment.iso(now),
        tried_configuration_id=configuration_id,
        error=error,
        attempts=attempts,
        next_attempt_at=next_attempt_at(attempts, now),
    )
    if row.status is Status.RETIRING:
        return with_status(row, Status.RETIRING, _reason(error, cause), now=now)
    if error in _UNSUPPORTED:
        return with_status(replace(row, next_attempt_at=""), Status.UNSUPPORTED, _reason(error, cause), now=now)
    if error in (InstanceNotManaged.__name__, InstanceUnreachable.__name__):
        return with_status(row, Status.WAITING_FOR_AGENT, _reason(error, cause), now=now)
    findings = _findings(cause) if error == KdumpNotReady.__name__ else ()
    status = Status.NOT_READY if error == KdumpNotReady.__name__ else Status.FAILED
    return with_status(row, status, *(findings or (_reason(error, cause),)), now=now)


def after_retirement(row: FleetRow, *, now: datetime) -> FleetRow:
    """It is out. The reason for it stays, and the overrides, should the owner change his mind."""
    expires = moment.epoch(now + _KEPT_AFTER_RETIREMENT)
    row = replace(
        row,
        attempts=0,
        next_attempt_at="",
        error="",
        rebooted_at="",
        tried_at=moment.iso(now),
        expires_at_epoch=expires,
    )
    return with_status(row, Status.RETIRED, *row.reasons, now=now)


def after_execution(
    row: FleetRow, arn: str, described: Mapping[str, Any], *, configuration_id: str, now: datetime
) -> FleetRow:
    """After an execution as DescribeExecution shows it. One that has noted its end itself changes nothing."""
    if row.execution_arn == arn:
        return row
    row = replace(row, execution_arn=arn)
    status = described.get("Status", "")
    if status == "SUCCEEDED":
        return after_success(row, json.loads(described["Output"]), configuration_id=configuration_id, now=now)
    if described.get("Error") == ProvisioningInProgress.__name__:
        # The other one will note its own end; until then the claim of the plan keeps this one from coming again.
        return replace(row, error="")
    if status == "FAILED" and described.get("Error"):
        error, cause = described["Error"], described.get("Cause", "")
        return after_failure(row, error, cause, configuration_id=configuration_id, now=now)
    cause = f"The execution {arn} is {status or 'unknown'}."
    return after_failure(row, ProvisioningUnfinished.__name__, cause, configuration_id=configuration_id, now=now)


def _reason(error: str, cause: str) -> Reason:
    known = getattr(errors, error, None)
    is_ours = isinstance(known, type) and issubclass(known, HangdumpError)
    return Reason(code=error, observed=_line(cause), remedy=known.next_step if is_ours and known else "")


def _findings(cause: str) -> tuple[Reason, ...]:
    """i-0123… is not ready for a crash dump: [{"code": …}]. Follow each remedy, then run this again."""
    start, end = cause.find("["), cause.rfind("]")
    try:
        found = json.loads(cause[start : end + 1]) if 0 <= start < end else []
    except ValueError:
        return ()
    return _as_reasons(found)


def _notes(outcome: Mapping[str, Any]) -> tuple[Reason, ...]:
    """What is worth knowing of an instance that is ready."""
    notes = _as_reasons((outcome.get("kdump") or {}).get("findings") or [])
    interrupt = outcome.get("diagnosticInterrupt") or {}
    if interrupt.get("status") == "unsupported":
        notes += (Reason(code="no-interrupt", severity="note", observed=_line(interrupt.get("detail", ""))),)
    rivals = outcome.get("conflictingAlarms") or []
    return notes + tuple(
        Reason(code="rival-alarm", severity="note", observed=_line(each), remedy="Let it act later, or not at all.")
        for each in rivals[:_MOST_REASONS]
    )


def _as_reasons(found: Any) -> tuple[Reason, ...]:
    # An instance's words: only what is a finding counts.
    listed = [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
    return tuple(
        Reason(
            code=_line(each.get("code", "")),
            severity=_line(each.get("severity", "error")),
            observed=_line(each.get("observed", "")),
            remedy=_line(each.get("remedy", "")),
        )
        for each in listed[:_MOST_REASONS]
    )


def _line(text: Any) -> str:
    return one_line(str(text), _LONGEST_TEXT)
