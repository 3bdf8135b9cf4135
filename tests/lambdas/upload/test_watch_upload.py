"""What can be seen of an upload while it runs."""

from datetime import timedelta
from typing import Any

import pytest

from lambdas.handlers import plan_upload, watch_upload
from lambdas.runtime import moment
from lambdas.upload.progress import progress
from tests.lambdas.account import Account
from tests.lambdas.conftest import Clock
from tests.lambdas.planning import ID, INCIDENT, OPENED, open_incident
from tests.lambdas.vmcores import DUMP


@pytest.fixture
def planned(account: Account, small_parts: None, context: Any) -> dict[str, Any]:
    """The round that sends the first three of five parts."""
    open_incident()
    event = {"incident": OPENED, "found": DUMP.found(), "round": 0}
    plan_upload.handler(event, context)
    DUMP.upload(account.bucket, account.bucket.objects[f"manifests/{INCIDENT}/1.tsv"].data.decode())
    return plan_upload.handler(event, context)


def watch(planned: dict[str, Any], context: Any) -> dict[str, Any]:
    return watch_upload.handler({"commandId": "c-1", "instanceId": ID, "upload": planned}, context)


def test_progress_is_what_s3_holds(account: Account, planned: dict[str, Any], context: Any, clock: Clock) -> None:
    account.probe_status = "InProgress"
    assert watch(planned, context)["Progress"] == {
        "percent": 0,
        "heldBytes": 0,
        "mibPerSecond": 0.0,
        "secondsLeft": None,
    }
    DUMP.upload(account.bucket, account.bucket.objects[f"manifests/{INCIDENT}/2.tsv"].data.decode(), only=2)
    clock.at += timedelta(seconds=10)
    seen = watch(planned, context)
    assert seen["Status"] == "InProgress"
    assert seen["Progress"] == {"percent": 43, "heldBytes": 2000, "mibPerSecond": 0.0, "secondsLeft": 13}


def test_speed_is_that_of_this_round() -> None:
    made = progress(size_bytes=100 << 20, held_bytes=60 << 20, before_bytes=40 << 20, seconds=4)
    assert (made["percent"], made["mibPerSecond"], made["secondsLeft"]) == (60, 5.0, 8)


def test_command_that_is_not_visible_yet_is_pending(account: Account, planned: dict[str, Any], context: Any) -> None:
    account.fail("GetCommandInvocation", "InvocationDoesNotExist")
    assert watch(planned, context)["Status"] == "Pending"


@pytest.mark.parametrize("code", ["NoSuchUpload", "AccessDenied", "SlowDown"])
def test_a_look_at_the_command_does_not_fail_for_the_sake_of_a_figure(
    account: Account, planned: dict[str, Any], context: Any, code: str
) -> None:
    account.fail("ListParts", code)
    assert "Progress" not in watch(planned, context)


def test_a_log_alone_has_no_progress(account: Account, context: Any) -> None:
    assert "Progress" not in watch({"keys": {}, "plannedEpoch": moment.epoch(moment.now())}, context)
