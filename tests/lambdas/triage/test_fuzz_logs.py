"""Whatever a log holds, its triage ends soon, in facts of visible text and bounded length."""

import json
from typing import Any

import pytest

from lambdas.triage import Triage, triage
from tests.fuzz import Fuzz
from tests.lambdas.triage.hostile_logs import HostileLog, hostile_log

_LONGEST_TEXT, _LONGEST_SENTENCE = 300, 2_000
# A machine has some hundred CPUs and some hundred modules.
_MOST_MEMBERS = 1_024
_MOST_SECONDS = 2
# conclude_incident has 512 MiB, and boto3 and the log beside it.
_MOST_MEMORY_BYTES = 150 * 1024**2


def triage_is_fit_for_people(log: HostileLog) -> None:
    told = triage(log.text, log.console)
    assert_bounded(told.as_json(), "triage")
    text = json.dumps(told.as_json(), allow_nan=False)
    assert Triage.model_validate_json(text) == told


def assert_bounded(value: Any, place: str) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            assert_bounded(member, f"{place}.{name}")
    elif isinstance(value, list):
        assert len(value) <= _MOST_MEMBERS, f"{place} has {len(value)} members"
        for member in value:
            assert_bounded(member, place)
    elif isinstance(value, str):
        longest = _LONGEST_SENTENCE if place == "triage.sentence" else _LONGEST_TEXT
        assert value.isprintable(), f"invisible characters in {place}: {value!r}"
        assert len(value) <= longest, f"{place} has {len(value)} characters"
    elif value is not None:
        assert abs(value) < 1 << 64, f"{place} is {value}"


@pytest.mark.timeout(7200)
def test_no_log_defeats_the_triage() -> None:
    Fuzz(
        name="logs",
        make=hostile_log,
        judge=triage_is_fit_for_people,
        saved=lambda log: f"{log.text}\n--- console\n{log.console}".encode(errors="surrogatepass"),
        most_seconds=_MOST_SECONDS,
        most_memory_bytes=_MOST_MEMORY_BYTES,
    ).run()
