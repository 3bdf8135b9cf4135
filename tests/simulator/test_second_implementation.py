"""What the simulator's executions did, ministack's interpreter does too: the same states, calls and outputs.

moto's interpreter, which runs everywhere else here, is LocalStack's; ministack's shares no code with it.
UPDATE_SNAPSHOTS=1 writes the counts to results/replay.json.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from lab.simulator.world import World
from tests.infra.template import MACHINES
from tests.simulator.recording import Recording, record_all

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results" / "replay.json"
MINISTACK = ROOT / ".venv-ministack" / "bin" / "python"
SCRIPT = Path(__file__).with_name("replay_in_ministack.py")
# A recording of these ends in the middle: its replay goes on until it makes a call that is not recorded.
CUT_SHORT = ("ABORTED", "TIMED_OUT")
# When a state was entered, and random names: of each run its own.
_OWN = re.compile(
    # 2026-12-01T04:34:37.123Z, and moto's 2026-12-01T04:34:37.123456+00:00
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?"
    # 6f1c2a9e-8d5b-4c37-9f00-1d2e3f4a5b6c
    r"|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)


def replay(recordings: Sequence[Recording]) -> list[dict[str, Any]]:
    """As replay_in_ministack.py describes it."""
    if not MINISTACK.exists():
        pytest.fail("ministack is not installed: run `make .venv-ministack/.stamp`", pytrace=False)
    given = ("machine", "name", "arn", "started_at", "input", "definition", "answers", "lists", "outputs")
    asked = json.dumps([{name: getattr(each, name) for name in given} for each in recordings])
    ended = subprocess.run([MINISTACK, SCRIPT], input=asked, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    replayed: list[dict[str, Any]] = json.loads(ended.stdout)
    return replayed


def differences(recordings: Sequence[Recording], replayed: Sequence[dict[str, Any]]) -> list[str]:
    """One line for each execution that ministack ran differently: where first, and the value in both."""
    found = []
    for recording, other in zip(recordings, replayed, strict=True):
        different = difference(recording, other)
        if different:
            found.append(f"{recording.machine}, {recording.name} ({recording.scenario}): {different}")
    return found


def difference(recording: Recording, other: dict[str, Any]) -> str:
    """The first difference, or nothing."""
    is_cut = recording.status in CUT_SHORT
    for kind in ("enters", "calls"):
        ours = getattr(recording, kind)
        theirs = other[kind][: len(ours)] if is_cut else other[kind]
        before = "the start"
        for mine, its in zip_longest(ours, theirs, fillvalue=("nothing", None)):
            if mine[0] != its[0]:
                return f"after {before!r} ours {kind} {mine[0]!r}, ministack {its[0]!r}"
            where = "" if _same(mine[1], its[1]) else _first_difference(_comparable(mine[1]), _comparable(its[1]), "$")
            if where:
                return f"{kind} {mine[0]!r} (after {before!r}) with {where}"
            before = mine[0]
    end = {name: getattr(recording, name) for name in ("status", "output", "error", "cause")}
    if is_cut:
        end = {"status": "STOPPED", "output": None, "error": None, "cause": None}
    where = _first_difference(_comparable(end), _comparable({name: other[name] for name in end}), "$")
    return where and f"ends after {recording.enters[-1][0]!r} with {where}"


def _same(ours: Any, theirs: Any) -> bool:
    """1 and True, or 1 and 1.0, are equal in Python only."""
    return json.dumps(ours, sort_keys=True) == json.dumps(theirs, sort_keys=True)


def _comparable(value: Any) -> Any:
    return json.loads(_OWN.sub("…", json.dumps(value)))


def _first_difference(ours: Any, theirs: Any, path: str) -> str:
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        pairs = [(f"{path}.{name}", ours[name], theirs[name]) for name in ours]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = [(f"{path}[{i}]", *pair) for i, pair in enumerate(zip(ours, theirs, strict=True))]
    else:
        return "" if _same(ours, theirs) else f"{path}: ours {json.dumps(ours)}, ministack {json.dumps(theirs)}"
    return next((found for at, mine, its in pairs if (found := _first_difference(mine, its, at))), "")


@pytest.fixture(scope="module")
def recordings(original: World) -> list[Recording]:
    return record_all(original)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_both_implementations_visit_the_same_states_with_the_same_output(recordings: list[Recording]) -> None:
    began = time.monotonic()
    found = differences(recordings, replay(recordings))
    counts = {
        "machines": len({each.machine.partition("/")[0] for each in recordings}),
        "executions": len(recordings),
        "states_visited": len({(each.machine, state) for each in recordings for state, _ in each.enters}),
        "states": sum(len(states) for states in _states(recordings).values()),
        "calls": sum(len(each.calls) for each in recordings),
        "differences": len(found),
        "replay_seconds": round(time.monotonic() - began),
    }
    print(counts)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        RESULTS.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")
    assert counts["machines"] == len(MACHINES)
    assert not found, "\n".join(found)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_every_choice_that_leads_elsewhere_is_a_difference(recordings: list[Recording]) -> None:
    mutants = {}
    for machine, states in _states(recordings).items():
        for name in (name for name, state in states.items() if state["Type"] == "Choice"):
            # The one that comes there most often, so that more than one way is taken.
            by_visits = {[state for state, _ in e.enters].count(name): e for e in recordings if e.machine == machine}
            if max(by_visits) > 0:
                longest = by_visits[max(by_visits)]
                mutants[machine, name] = replace(longest, definition=_rotated(longest.definition, name))
    unnoticed = [
        place
        for place, mutant, other in zip(mutants, mutants.values(), replay(list(mutants.values())), strict=True)
        if not difference(mutant, other)
    ]
    assert (len(mutants) > 40, unnoticed) == (True, [])


def _states(recordings: Sequence[Recording]) -> dict[str, dict[str, Any]]:
    return {
        machine: json.loads(text)["States"] for machine, text in {e.machine: e.definition for e in recordings}.items()
    }


def _rotated(definition: str, choice: str) -> str:
    """Each way out of the Choice leads where the one after it does."""
    machine = json.loads(definition)
    state = machine["States"][choice]
    ways = [*(rule["Next"] for rule in state["Choices"]), state["Default"]]
    for rule, way in zip(state["Choices"], ways[1:], strict=True):
        rule["Next"] = way
    state["Default"] = ways[0]
    return json.dumps(machine)


ENDED = Recording(
    scenario="a scenario",
    machine="CollectVmcore",
    name="an-execution",
    arn="",
    started_at="",
    input="{}",
    definition="",
    status="SUCCEEDED",
    output={"verdict": "captured"},
    error=None,
    cause=None,
    enters=[("Find vmcore", {}), ("Captured", {"found": [{"size": 1}]})],
    calls=[("Find vmcore", {"at": "2026-12-01T04:34:37.123Z"})],
)
SAME = {
    "status": "SUCCEEDED",
    "output": {"verdict": "captured"},
    "error": None,
    "cause": None,
    "enters": [["Find vmcore", {}], ["Captured", {"found": [{"size": 1}]}]],
    "calls": [["Find vmcore", {"at": "2026-11-23T04:00:00Z"}]],
}


@pytest.mark.parametrize(
    ("recording", "other", "said"),
    [
        pytest.param(ENDED, {}, "", id="nothing"),
        pytest.param(
            ENDED,
            {"enters": [["Find vmcore", {}], ["Failed", {}]]},
            "after 'Find vmcore' ours enters 'Captured', ministack 'Failed'",
            id="state",
        ),
        pytest.param(
            ENDED,
            {"enters": [["Find vmcore", {}], ["Captured", {"found": [{"size": True}]}]]},
            "enters 'Captured' (after 'Find vmcore') with $.found[0].size: ours 1, ministack true",
            id="input",
        ),
        pytest.param(
            ENDED, {"calls": []}, "after 'the start' ours calls 'Find vmcore', ministack 'nothing'", id="call"
        ),
        pytest.param(
            ENDED,
            {"output": {}},
            """ends after 'Captured' with $.output: ours {"verdict": "captured"}, ministack {}""",
            id="output",
        ),
        pytest.param(
            replace(ENDED, status="ABORTED", output=None, enters=ENDED.enters[:1]),
            {"status": "STOPPED", "output": None},
            "",
            id="cut-short",
        ),
    ],
)
def test_the_first_difference_is_named_with_both_values(recording: Recording, other: dict[str, Any], said: str) -> None:
    assert difference(recording, {**SAME, **other}) == said
