"""A log is written by a machine in trouble, partly by whoever runs programs on it: nothing in it may stop triage."""

import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdas.triage import triage
from tests.lambdas.triage.hostile_logs import LINES
from tests.lambdas.triage.triage_cases import read


@given(st.text(max_size=400), st.lists(st.sampled_from(LINES), max_size=12))
@settings(max_examples=600, deadline=None, database=None, derandomize=True)
def test_no_text_stops_it(noise: str, lines: list[str]) -> None:
    triage("\n".join([*lines[:6], noise, *lines[6:]]), console=noise)


def test_a_cut_at_any_byte_of_utf8_stops_nothing() -> None:
    log = "[    1.000000] usb: Käse\n".encode() * 3 + read("sysrq-c").encode()
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
            "BUG: number\nCPU: 0 PID: 1 Comm: a Not tainted 6.1.0 #1\n",
            "BUG: workqueue lockup - pool cpus=3 node=0 flags=0x0 nice=0 stuck for 61s!\n",
            "------------[ cut here ]------------\nWARNING: a\n",
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


@pytest.mark.parametrize("end", ["hung_task: blocked tasks", "NMI: Not continuing"])
def test_takes_time_in_proportion_to_the_blocked_tasks(end: str) -> None:
    """Each of them is compared with the others: with all of their reports, it would be sixteen times as long."""
    task = (
        "[  9.1] INFO: task a:{0} blocked for more than 9 seconds.\ntask:a state:D stack:0 pid:{0} ppid:2 flags:0x0\n"
        " schedule+0x1/0x2\n __mutex_lock+0x1/0x2\nINFO: task a:{0} is blocked on a mutex likely owned by task b:1.\n"
    )

    def seconds(tasks: int) -> float:
        log = "".join(task.format(pid) for pid in range(tasks))
        log += f"[  9.5] Kernel panic - not syncing: {end}\nCPU: 0 PID: 0 Comm: swapper/0 Not tainted 6.16.3 #1\n"
        began = time.process_time()
        triage(log)
        return time.process_time() - began

    small, large = min(seconds(500) for _ in range(3)), min(seconds(2000) for _ in range(2))
    assert large < 9 * max(small, 0.02)


def test_of_a_log_without_end_the_beginning_and_the_end_are_read() -> None:
    log = read("sysrq-c")
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


@pytest.mark.parametrize(
    "hidden", ["\x1b", "\x85", "\xa0", "\xad", "\u200b", "\u2028", "\u202e", "\ue000", "\U000e0041"]
)
def test_what_is_invisible_becomes_a_question_mark(hidden: str) -> None:
    told = triage(f"[    1.0] DMI: Amazon{hidden}EC2\n[    2.0] Kernel panic - not syncing: {hidden}the\tend\n")
    assert told.hardware == "Amazon?EC2"
    assert told.panic_message == "Kernel panic - not syncing: ?the end"


def test_memory_that_no_machine_has_is_not_told() -> None:
    """The numbers of a triage are those of 64 bits, which every reader of JSON has room for."""
    nines = "9" * 15
    rows = (
        f"[  pid  ]   uid  tgid total_vm      rss name\n[    777]     0   777   1   {nines}  1        0    0 stress\n"
    )
    told = triage(f"Mem-Info:\nactive_anon:{nines} free:1\nNode 0 active_anon:{'9' * 14}kB\n{nines} pages RAM\n{rows}")
    assert told.memory is not None
    assert (told.memory.total_bytes, told.memory.anonymous_bytes, told.memory.free_bytes) == (None, None, 4096)
    assert told.memory.processes == ()


def test_a_page_has_a_size_that_processors_know() -> None:
    """Counts of one moment and of the next made pages of 5 KiB of them, or of gigabytes."""
    counts = "Mem-Info:\nactive_anon:10 free:7\nNode 0 active_anon:{}kB\n"
    sizes = []
    for kib in (48, 9_999_999):
        memory = triage(counts.format(kib)).memory
        assert memory is not None
        sizes.append((memory.free_bytes or 0) // 7)
    assert sizes == [4096, 65536]


def test_of_endless_lists_the_first_members_are_told() -> None:
    modules = " ".join(f"m{number}" for number in range(150))
    more = "\n".join(" ".join(f"{letter}{number:x}y" for number in range(220)) for letter in "abcdefghij")
    told = triage(f"Modules linked in: {modules.ljust(900, 'x')}\n{more}\n")
    assert len(told.modules) == 1024
    reports = "".join(f"NMI backtrace for cpu {number} skipped: idling at a+0x1/0x2\n" for number in range(1100))
    panic = "Kernel panic - not syncing: NMI: Not continuing\nCPU: 2000 PID: 7 Comm: a Not tainted 6.1.0 #1\n"
    cpus = triage(reports + panic).cpus
    assert (len(cpus), cpus[-1].cpu) == (1024, 2000)
