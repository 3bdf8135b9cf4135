"""What the demo's timeline tells of an event, and what it leaves out."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lab.aws.event_log import Event
from lab.demo.tell import Teller


def _line(source: str, subject: str, text: str, result: Any = None) -> tuple[str, str] | None:
    return Teller().line_of(Event(datetime(2026, 11, 23, tzinfo=UTC), source, subject, text, result))


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (
            {"percent": 43, "mibPerSecond": 61.2, "secondsLeft": 12},
            "CollectVmcore  upload 43 %, 61.2 MiB/s, 12 s left",
        ),
        ({"percent": 0, "mibPerSecond": 0.0, "secondsLeft": None}, "CollectVmcore  upload 0 %, 0.0 MiB/s"),
        ({"percent": 100, "mibPerSecond": 8.0, "secondsLeft": 0}, "CollectVmcore  upload 100 %, 8.0 MiB/s"),
    ],
)
def test_progress_of_an_upload_is_told_in_figures(progress: dict[str, Any], said: str) -> None:
    seen = {"Status": "InProgress", "Progress": progress}
    assert _line("lambda", "Hangdump-watch_upload", "succeeded", seen) == ("workflow", said)


@pytest.mark.parametrize(
    ("source", "subject", "text"),
    [
        ("lambda", "Hangdump-plan_upload", "succeeded"),
        ("lambda", "Hangdump-watch_upload", "succeeded"),
        ("stepfunctions", "CollectVmcore", "Upload vmcore (wait)"),
        ("s3", "cdk-hnb659fds-assets", "object template: 9 bytes"),
        ("cloudwatch", "Hangdump CollectVmcore failed", "alarm INSUFFICIENT_DATA -> OK"),
        ("cloudwatch", "Hangdump no sweep", "alarm INSUFFICIENT_DATA -> ALARM"),
        ("sns", "Hangdump-OwnAlarmsTopic99673E69-77MFN1ECT2QO", 'ALARM: "Hangdump no sweep"'),
    ],
)
def test_what_only_prepares_is_left_out(source: str, subject: str, text: str) -> None:
    assert _line(source, subject, text) is None


def test_a_function_that_fails_is_told() -> None:
    assert _line("lambda", "Hangdump-plan_upload", "failed: BucketRefused: no") == (
        "lambda",
        "Hangdump-plan_upload  failed: BucketRefused: no",
    )


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("hangdump-i-0123456789abcdef0", "alarm INSUFFICIENT_DATA -> OK"),
        ("Hangdump CollectVmcore failed", "alarm OK -> ALARM"),
    ],
)
def test_the_instances_own_alarm_is_told_and_so_is_a_failure_of_hangdump(subject: str, text: str) -> None:
    assert _line("cloudwatch", subject, text) == ("alarm", f"{subject}  {text}")
