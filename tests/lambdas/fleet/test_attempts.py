"""What an attempt came to, in the row of its instance."""

import json

import pytest

from lambdas.fleet.attempts import after_execution, after_failure, after_success, next_attempt_at
from lambdas.fleet.plan import NO_OUTCOME
from lambdas.fleet.row import FleetRow, Status, read_row
from lambdas.incident.update_expression import deserialize, serialize
from lambdas.runtime import moment
from tests.lambdas.fleet.fleets import CURRENT, INSTANCE, NOW, hours, row

READY = {
    "status": "ready",
    "volumeId": "vol-1",
    "kdump": {
        "kernel": "6.1.0",
        "bootId": "boot-1",
        "family": "debian",
        "findings": [{"code": "swap-on-zram", "severity": "note", "observed": "yes", "remedy": "none needed"}],
    },
    "diagnosticInterrupt": {"status": "unsupported", "detail": "Not to arm64."},
    "conflictingAlarms": ["web-down: reboot"],
}
ARN = "arn:aws:states:eu-west-1:123456789012:execution:ProvisionDumpVolume:one"


@pytest.mark.parametrize(
    ("attempts", "wait"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 24), (7, 24), (10_000, 24)]
)
def test_waits_twice_as_long_after_each_attempt_and_a_day_at_most(attempts: int, wait: int) -> None:
    assert next_attempt_at(attempts, NOW) == moment.iso(NOW + hours(wait))


def test_success_forgets_the_failures_before_it() -> None:
    before = row(Status.FAILED, attempts=4, next_attempt_at=moment.iso(NOW), error="PackageUnavailable")

    after = after_success(before, READY, configuration_id=CURRENT, now=NOW)

    assert (after.status, after.attempts, after.next_attempt_at, after.error) == (Status.READY, 0, "", "")
    assert (after.kernel, after.boot_id, after.volume_id) == ("6.1.0", "boot-1", "vol-1")
    assert [each.code for each in after.reasons] == ["swap-on-zram", "no-interrupt", "rival-alarm"]
    assert {each.severity for each in after.reasons} == {"note"}


@pytest.mark.parametrize(
    ("error", "cause", "status", "codes"),
    [
        ("UnsupportedFamily", "It is Plan 9.", Status.UNSUPPORTED, ["UnsupportedFamily"]),
        ("NoCrashDumpSupport", "No CONFIG_CRASH_DUMP.", Status.UNSUPPORTED, ["NoCrashDumpSupport"]),
        ("InstanceNotManaged", "Not registered.", Status.WAITING_FOR_AGENT, ["InstanceNotManaged"]),
        ("PackageUnavailable", "No mirror.", Status.FAILED, ["PackageUnavailable"]),
        (
            "KdumpNotReady",
            'i-1 is not ready for a crash dump: [{"code":"no-memory","severity":"error","observed":"0",'
            '"remedy":"reboot"}]. Follow each remedy.',
            Status.NOT_READY,
            ["no-memory"],
        ),
        ("KdumpNotReady", "i-1 is not ready: [nonsense]", Status.NOT_READY, ["KdumpNotReady"]),
        ("States.Timeout", "", Status.FAILED, ["States.Timeout"]),
    ],
)
def test_a_failure_says_its_status_and_reasons(error: str, cause: str, status: Status, codes: list[str]) -> None:
    after = after_failure(row(), error, cause, configuration_id=CURRENT, now=NOW)

    assert (after.status, [each.code for each in after.reasons]) == (status, codes)
    assert (after.error, after.attempts) == (error, 1)
    assert after.next_attempt_at == ("" if status is Status.UNSUPPORTED else moment.iso(NOW + hours(1)))


def test_an_execution_that_noted_its_end_itself_is_not_noted_again() -> None:
    noted = row(execution_arn=ARN, attempts=1)
    described = {"Status": "FAILED", "Error": "PackageUnavailable", "Cause": "No mirror."}
    assert after_execution(noted, ARN, described, configuration_id=CURRENT, now=NOW) is noted


@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT", "RUNNING"])
def test_an_execution_that_ended_without_a_word_is_a_failure_with_a_name(status: str) -> None:
    claimed = row(Status.NOT_READY, error=NO_OUTCOME)

    after = after_execution(claimed, ARN, {"Status": status}, configuration_id=CURRENT, now=NOW)

    assert (after.status, after.error) == (Status.FAILED, "ProvisioningUnfinished")
    assert status in after.reasons[0].observed
    assert after.reasons[0].remedy


def test_an_execution_whose_own_note_was_lost_is_noted_by_its_output() -> None:
    described = {"Status": "SUCCEEDED", "Output": json.dumps(READY)}
    after = after_execution(row(Status.NOT_READY), ARN, described, configuration_id=CURRENT, now=NOW)
    assert (after.status, after.kernel) == (Status.READY, "6.1.0")


def test_another_provisioning_under_way_is_no_failure() -> None:
    claimed = row(Status.NOT_READY, error=NO_OUTCOME)
    described = {"Status": "FAILED", "Error": "ProvisioningInProgress", "Cause": "Another one."}

    after = after_execution(claimed, ARN, described, configuration_id=CURRENT, now=NOW)

    assert (after.status, after.error, after.attempts) == (Status.NOT_READY, "", 0)


def test_a_row_comes_back_from_the_table_as_it_was_written() -> None:
    full = after_success(
        row(overrides={"dumpSizeFactor": 1.5, "panicSysctls": {"panic_on_oops": 0}}, revision=7),
        READY,
        configuration_id=CURRENT,
        now=NOW,
    )
    for each in (full, FleetRow(instance_id=INSTANCE)):
        assert read_row(deserialize(serialize(each.as_item()))) == each


def test_a_row_of_a_newer_release_is_read() -> None:
    item = row().as_item() | {"profile": "gpu", "reasons": [{"code": "x", "link": "y"}]}
    assert read_row(item).reasons[0].code == "x"
