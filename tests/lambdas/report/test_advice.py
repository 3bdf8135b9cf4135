"""The first step fits what the log shows, and not only its class."""

import pytest

from lambdas.report.advice import next_steps
from lambdas.report.facts import Facts
from lambdas.triage import triage
from tests.lambdas.report import incidents
from tests.lambdas.triage.triage_cases import read


def first_step(log: str) -> str:
    return next_steps(Facts(incidents.CAPTURED), triage(log))[0].words


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("nmi-on-idle-cpu-disk-stalled", "waits for a disk or the network"),
        ("hung-tasks-cron-first", "waits for a disk or the network"),
        ("nmi-on-idle-cpu-network-reset", "Follow the blocked tasks"),
        ("nmi-on-idle-cpu-after-an-oops", "A task crashed before"),
        ("nmi-kernel-thread-x86_64", "See which task held each CPU"),
    ],
)
def test_a_hang_is_followed_to_what_hung(log: str, words: str) -> None:
    assert words in first_step(read(log))


def test_an_idle_cpu_and_a_silent_log_send_one_to_the_dump() -> None:
    lines = read("nmi-on-idle-cpu-disk-stalled").splitlines(keepends=True)
    assert first_step("".join(line for line in lines if " 4340." not in line)).startswith("The log names nobody.")


@pytest.mark.parametrize(("code", "words"), [("00000007", "root volume"), ("0000000b", "The first process ended")])
def test_how_init_ended_decides_where_to_look(code: str, words: str) -> None:
    assert words in first_step(f"[ 9.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x{code}\n")
