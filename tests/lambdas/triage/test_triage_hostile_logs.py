"""A log is written by a machine in trouble, partly by whoever runs programs on it: nothing in it may stop triage."""

import random
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdas.triage import triage
from tests.lambdas.triage.triage_cases import CASES, read
from tests.seeds import seeds

MUTATIONS = 9_500
LOGS = {name: read(name) for name in CASES}
LINES = [line for log in LOGS.values() for line in log.splitlines()]
SPICE = [
    "\x00",
    "\x1b[2J",
    "\u202e",
    "\udc80",
    "<script>alert(1)</script>",
    "[" * 40,
    "9" * 40,
    "+0x",
    "]: ",
    "\r",
    "\n",
]


def mutated(chance: random.Random) -> str:
    """A log of the corpus, cut, shuffled or sprinkled; at most 4,000 characters, as fuzzing wants many."""
    log = chance.choice(list(LOGS.values()))
    begin = chance.randrange(len(log))
    log = log[begin : begin + chance.randrange(1, 4000)]
    for _ in range(chance.randrange(5)):
        at = chance.randrange(len(log) + 1)
        piece = chance.choice([chance.choice(SPICE), chance.choice(LINES) + "\n", log[at : at + chance.randrange(200)]])
        log = log[:at] + piece + log[at + chance.randrange(3) * chance.randrange(60) :]
    if chance.random() < 0.2:
        lines = log.splitlines()
        chance.shuffle(lines)
        log = "\n".join(lines)
    return log


@pytest.mark.parametrize("seed", seeds(10, quick=2))
def test_no_mutation_of_a_real_log_stops_it(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    for _ in range(MUTATIONS // 10):
        log = mutated(chance)
        told = triage(log, console=log[:300] if chance.random() < 0.1 else "")
        # What can be written to S3, and be read by a browser and a mail program.
        text = told.model_dump_json(by_alias=True).encode().decode()
        assert not any(control in text for control in ("\x00", "\x1b", "\u202e", "\\u001b", "\\u0000"))


@given(st.text(max_size=400), st.lists(st.sampled_from(LINES), max_size=12))
@settings(max_examples=600, deadline=None, database=None, derandomize=True)
def test_no_text_stops_it(noise: str, lines: list[str]) -> None:
    triage("\n".join([*lines[:6], noise, *lines[6:]]), console=noise)


def test_a_cut_at_any_byte_of_utf8_stops_nothing() -> None:
    log = "[    1.000000] usb: Käse\n".encode() * 3 + LOGS["sysrq-c"].encode()
    for cut in range(200):
        triage(log[cut:].decode(errors="replace"))


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "\x00",
            "a",
            "[",
            "<",
            " ",
            "\n",
            "+0x",
            "[    1.000000] ",
            "CPU: 1 PID: ",
            "Modules linked in: a",
            "Oops: [#1]",
        ),
        *(" foo+0x1/0x2\n", "Kernel panic - not syncing: \n", "general protection fault", "task:a state:D pid:1\n"),
        *(
            "CPU: 0 PID: 1 Comm: a Tainted: G G G G G\n",
            "INFO: task a:1 blocked for more than 9 seconds.\n",
            "nvme I/O ",
        ),
    ],
)
def test_takes_time_in_proportion_to_the_log(piece: str) -> None:
    """Four times the log may take four times as long, with room for noise: a regex that backtracks takes sixteen."""

    def seconds(characters: int) -> float:
        log = piece * (characters // len(piece))
        began = time.process_time()
        triage(log)
        return time.process_time() - began

    small, large = min(seconds(25_000) for _ in range(3)), min(seconds(100_000) for _ in range(2))
    assert large < 9 * max(small, 0.02)


def test_of_a_log_without_end_the_beginning_and_the_end_are_read() -> None:
    log = LOGS["sysrq-c"]
    told = triage(log.splitlines()[0] + "\n" + "[    9.000000] noise\n" * 200_000 + log)
    assert (told.kernel_release, told.is_truncated) == ("6.1.0-56-cloud-amd64", True)
    assert told.crash_class.value == "sysrq"


def test_a_log_of_millions_of_lines_takes_little_memory() -> None:
    """conclude_incident has 512 MiB, and reads the log as this does."""
    text = (b"\xff\n" * (2 * 1024**2)).decode(errors="replace") + "[    1.0] Kernel panic - not syncing: the end\n"
    tracemalloc.start()
    told = triage(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150 * 1024**2
    assert (told.panic_message, told.is_truncated) == ("Kernel panic - not syncing: the end", True)
