"""The sections of an analysis, each of which may fail alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from analysis import __main__ as program
from analysis import analyze as module
from analysis.analyze import SECTIONS, analyze
from analysis.command_line import run
from analysis.errors import VmcoreUnreadable
from analysis.vmcore import Identity, open_vmcore
from lab.machines.composed_dump import elf, flattened, kdump_compressed, memory_with_log

ROOT = Path(__file__).resolve().parents[2]
KERNEL = Identity(release="6.1.0", build_id="ab", architecture="x86_64", is_flattened=False)
# The contract with whoever reads analysis.json.
PROMISED = {
    *("kernelRelease", "buildId", "isSymbolsMatched", "cpus", "blockedTasks", "runQueues", "locks", "memory", "mounts"),
    *("blockRequests", "problems", "panic", "culprit", "log"),
}


def _analyze(monkeypatch: pytest.MonkeyPatch, **sections: Any) -> dict[str, Any]:
    """With these sections in place of the real ones, the others answering their own name."""
    replaced = tuple((key, sections.get(key, lambda _, key=key: key), empty) for key, _, empty in SECTIONS)
    monkeypatch.setattr(module, "SECTIONS", replaced)
    return analyze(None, KERNEL, ["known before"], is_matched=True, seconds=1)  # type: ignore[arg-type,unused-ignore]


def test_writes_every_key_that_readers_were_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(_analyze(monkeypatch)) == PROMISED


def test_a_section_that_fails_leaves_the_others_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_(_: object) -> None:
        raise LookupError("could not find 'struct kmem_cache'")

    result = _analyze(monkeypatch, memory=break_, cpus=break_)
    assert (result["memory"], result["cpus"], result["mounts"]) == (None, [], "mounts")
    assert result["problems"] == [
        "known before",
        "cpus: LookupError: could not find 'struct kmem_cache'",
        "memory: LookupError: could not find 'struct kmem_cache'",
    ]


def test_a_list_that_a_stray_write_made_a_circle_ends_with_its_section(monkeypatch: pytest.MonkeyPatch) -> None:
    def walk_for_ever(_: object) -> None:
        while True:
            time.monotonic()

    result = _analyze(monkeypatch, locks=walk_for_ever)
    assert result["locks"] == []
    assert result["problems"][1:] == ["locks: SectionTimedOut: did not end in 1 s"]
    assert result["log"] == "log"


@pytest.mark.parametrize(
    "content",
    [b"", b"KDUMP   ", b"makedumpfile\0\0\0\0", b"\x7fELF" + bytes(60), bytes(4096)],
    ids=["empty", "head of a compressed one", "head of a flattened one", "head of an ELF file", "zeros"],
)
def test_what_is_no_dump_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "vmcore").write_bytes(content)
    with pytest.raises(VmcoreUnreadable):
        open_vmcore(tmp_path / "vmcore")


WHOLE = {
    "elf": elf(memory_with_log()),
    "compressed": kdump_compressed(memory_with_log()),
    "flattened": flattened(kdump_compressed(memory_with_log())),
    "flattened elf": flattened(elf(memory_with_log())),
}


@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE)
def test_a_dump_that_was_cut_anywhere_is_one_line_and_status_1(
    whole: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vmcore = tmp_path / "vmcore"
    for length in (0, 1, 17, *range(500, len(whole), 900), len(whole) - 1):
        vmcore.write_bytes(whole[:length])
        status = run(lambda: program.analyze([str(vmcore)]))
        said = capsys.readouterr().err
        assert (length, status, said.count("\n")) == (length, 1, 1)
        assert said.startswith(f"VmcoreUnreadable: {vmcore} does not open as a kernel dump: "), length


def test_the_command_says_in_one_line_why_there_is_no_analysis(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(lambda: program.analyze([str(tmp_path / "nowhere")])) == 1
    assert capsys.readouterr().err == f"VmcoreUnreadable: {tmp_path}/nowhere is no file\n"


def test_a_cut_that_ends_the_process_itself_is_one_line_too(tmp_path: Path) -> None:
    """The bitmap of 4 GiB is longer than what drgn reads first: behind the cut it meets SIGBUS."""
    memory = memory_with_log()
    memory.pages[1 << 20] = bytearray(4096)
    vmcore = tmp_path / "vmcore"
    vmcore.write_bytes(kdump_compressed(memory)[:192_000])
    command = [sys.executable, "-m", "analysis", str(vmcore)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("VmcoreUnreadable: reading the vmcore ended with SIGBUS: it is cut or damaged.")


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (lambda: 0, 0),
        (lambda: 3, 3),
        (lambda: sys.exit(2), 2),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), 137),
        (lambda: os.kill(os.getpid(), signal.SIGINT), 130),
    ],
    ids=["well", "with a status", "as argparse does", "killed", "by Ctrl-C"],
)
def test_a_process_of_its_own_ends_with_its_own_status(command: Any, status: int) -> None:
    assert program.in_a_child(command) == status
