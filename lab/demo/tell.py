"""Turns the account's events into lines for a reader: which are told, by whom, and in which words."""

from collections.abc import Mapping
from typing import Any

from lab.aws.event_log import Event
from lambdas.runtime.tags import HANG_ALARM_PREFIX

# The account's name for a service → the storyteller on the timeline.
SPEAKERS = {"stepfunctions": "workflow", "cloudformation": "deploy", "cloudwatch": "alarm"}


class Teller:
    """Leaves out what only repeats or prepares something else."""

    def __init__(self) -> None:
        self._last_state: dict[str, str] = {}

    def line_of(self, event: Event) -> tuple[str, str] | None:
        """(speaker, text), or None for an event that is not worth a line."""
        if event.source == "stepfunctions":
            # "Prepare dump volume (wait)" is a part of a waiting loop, whose first state says what is waited for.
            if event.text.endswith(")") or self._last_state.get(event.subject) == event.text:
                return None
            self._last_state[event.subject] = event.text
        if _is_of_the_deployment(event):
            return None
        # The upload of the stack's own assets, before anything happens.
        if event.source == "s3" and event.subject.startswith("cdk-"):
            return None
        if event.subject.endswith("watch_upload") and isinstance(event.result, dict) and "Progress" in event.result:
            return SPEAKERS["stepfunctions"], progress_line(event.result["Progress"])
        # A function's state stands there already; only its failure is news.
        if event.source == "lambda" and event.text in ("started", "succeeded") and "respond" not in event.subject:
            return None
        return SPEAKERS.get(event.source, event.source), f"{event.subject}  {event.text}"


def _is_of_the_deployment(event: Event) -> bool:
    """The first state of an alarm on Hangdump itself, whatever it is: "no sweep" begins in ALARM.

    Their topic only repeats them.
    """
    if event.source == "sns":
        return "OwnAlarms" in event.subject
    is_own = event.source == "cloudwatch" and not event.subject.startswith(HANG_ALARM_PREFIX)
    return is_own and event.text.startswith("alarm INSUFFICIENT_DATA -> ")


def progress_line(progress: Mapping[str, Any]) -> str:
    """`CollectVmcore  upload 43 %, 61.2 MiB/s, 12 s left`"""
    left = progress["secondsLeft"]
    tail = f", {left} s left" if left is not None and progress["percent"] < 100 else ""
    return f"CollectVmcore  upload {progress['percent']} %, {progress['mibPerSecond']} MiB/s{tail}"
