"""Every format of one memory opens alike; what is damaged is called so."""

import random
from collections.abc import Callable

import pytest

from lab.machines.composed_dump import (
    BUILD_ID,
    LOG_TEXT,
    PAGE,
    RELEASE,
    Memory,
    elf,
    flattened,
    kdump_compressed,
    memory_with_log,
    memory_with_old_log,
)
from lambdas.runtime.errors import VmcoreUnreadable
from lambdas.vmcore import flattened as reader
from lambdas.vmcore.bytes_by_range import BytesByRange
from lambdas.vmcore.open_dump import OpenedDump, open_dump

WRAPPING = [(number * 10**9, f"line {number} " + "x" * (number % 60)) for number in range(30)]


def opened(dump: bytes) -> OpenedDump:
    return open_dump(BytesByRange(lambda offset, size: dump[offset : offset + size], len(dump), block_bytes=PAGE))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        pytest.param(elf, "ELF", id="elf"),
        pytest.param(kdump_compressed, "kdump-compressed", id="kdump"),
        pytest.param(lambda memory: flattened(elf(memory)), "ELF, flattened", id="flattened-elf"),
        pytest.param(
            lambda memory: flattened(kdump_compressed(memory), piece_bytes=1000),
            "kdump-compressed, flattened",
            id="flattened-kdump",
        ),
    ],
)
def test_each_format_says_which_kernel_it_is_of_what_it_ran_and_what_it_logged(
    written: Callable[[Memory], bytes], name: str
) -> None:
    memory = memory_with_log()
    memory.pids = (0, 4711)
    assert opened(written(memory)) == OpenedDump(
        format=name,
        architecture="x86_64",
        kernel_release=RELEASE,
        build_id=BUILD_ID,
        kaslr_offset=0x1C00000,
        has_kallsyms=True,
        cpus=2,
        idle_cpus=1,
        log=LOG_TEXT,
        problems=(),
    )


@pytest.mark.parametrize("memory", [memory_with_log(), memory_with_old_log()], ids=["5.10", "3.5"])
def test_the_panic_line_is_the_last_one(memory: Memory) -> None:
    assert opened(kdump_compressed(memory)).panic_line == "Kernel panic - not syncing: NMI: Not continuing"


@pytest.mark.parametrize(
    "memory",
    [
        pytest.param(memory_with_log(WRAPPING, begin=4000, first_id=40), id="5.10"),
        pytest.param(memory_with_old_log(WRAPPING, begin=3600), id="3.5"),
    ],
)
def test_a_log_that_went_around_its_buffer_is_in_order(memory: Memory) -> None:
    lines = opened(kdump_compressed(memory)).log.splitlines()
    assert [line.split("] ")[1] for line in lines] == [text for _, text in WRAPPING]


def test_a_record_of_several_lines_has_its_time_on_each() -> None:
    log = opened(elf(memory_with_log([(1_500_000_000, "one\ntwo\n")]))).log
    assert log == "[    1.500000] one\n[    1.500000] two\n"


def test_an_entry_that_was_overwritten_is_left_out() -> None:
    memory = memory_with_log()
    # The first descriptor's state: reusable.
    memory.put_in_image(0xFFFFFFFF81008000, (3 << 62).to_bytes(8, "little"))
    assert opened(elf(memory)).log == "".join(LOG_TEXT.splitlines(keepends=True)[1:])


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        pytest.param("SYMBOL(prb)", "where the kernel's log is", id="no-log"),
        pytest.param("SYMBOL(swapper_pg_dir)", "where the page tables are", id="no-page-tables"),
        pytest.param("SIZE(printk_info)", "does not describe", id="no-layout"),
    ],
)
def test_a_kernel_that_does_not_say_where_its_log_is_has_a_dump_that_opens(missing: str, why: str) -> None:
    memory = memory_with_log()
    del memory.info[missing]
    said = opened(kdump_compressed(memory))
    assert (said.kernel_release, said.log) == (RELEASE, "")
    assert len(said.problems) == 1
    assert why in said.problems[0]


def test_a_ring_of_an_impossible_size_is_a_problem_of_the_log_alone() -> None:
    memory = memory_with_log()
    memory.put_in_image(0xFFFFFFFF81004000, (200).to_bytes(8, "little"))
    assert "impossible size" in opened(elf(memory)).problems[0]


@pytest.mark.parametrize(
    ("dump", "why"),
    [
        pytest.param(b"", "The dump is truncated", id="empty"),
        pytest.param(b"\0" * 9000, "it is no kernel dump", id="zeros"),
        pytest.param(b"KDUMP   " + b"\xff" * 9000, "header is damaged", id="rubbish-behind-the-signature"),
        pytest.param(kdump_compressed(memory_with_log(), status=9), "makedumpfile marked it so", id="out-of-space"),
        pytest.param(kdump_compressed(memory_with_log())[:-1], "The dump is truncated", id="last-byte-missing"),
        pytest.param(elf(memory_with_log())[:-1], "The dump is truncated", id="last-byte-of-elf-missing"),
        pytest.param(
            flattened(kdump_compressed(memory_with_log()), ends=False),
            "the end mark of makedumpfile -F is missing",
            id="no-end",
        ),
        pytest.param(elf(Memory({"OSRELEASE": ""})), "names no kernel", id="no-kernel"),
    ],
)
def test_what_is_cut_or_no_dump_does_not_open(dump: bytes, why: str) -> None:
    with pytest.raises(VmcoreUnreadable, match=why):
        opened(dump)


def test_a_page_that_is_damaged_is_found_when_the_log_is_on_it() -> None:
    memory = memory_with_log()
    dump = bytearray(kdump_compressed(memory))
    # The last page is that with the texts.
    dump[-100:] = bytes(100)
    with pytest.raises(VmcoreUnreadable, match="A page of the dump is damaged"):
        opened(bytes(dump))


def test_what_a_flattened_dump_leaves_out_is_zeros() -> None:
    """makedumpfile does not write the zeros at the end of a bitmap."""
    dump = kdump_compressed(memory_with_log())
    stream = flattened(dump, piece_bytes=500, writes_zeros=False)
    assert len(stream) < len(flattened(dump, piece_bytes=500))
    said = opened(stream)
    assert (said.log, said.problems) == (LOG_TEXT, ())


def test_a_large_flattened_dump_is_searched_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of 1,000 bytes stand for those of 64 KiB, 2 MB for terabytes; the log lies in its middle."""
    memory = memory_with_log()
    for number in (*range(0x1000, 0x1400), *range(0x8000, 0x8400)):
        memory.pages[number] = bytearray(random.Random(number).randbytes(PAGE))  # noqa: S311
    dump = kdump_compressed(memory, is_compressed=False)
    data_at = len(dump) - PAGE * len(memory.pages)
    stream = flattened(dump, piece_bytes=1000, descriptors=range(data_at - 24 * len(memory.pages), data_at))
    for name, value in {"_WALKED_BYTES": 20_000, "_NEXT_IS_WITHIN": 200_000, "_END_BYTES": 4000}.items():
        monkeypatch.setattr(reader, name, value)
    monkeypatch.setattr(reader, "_WINDOW_BYTES", 700)
    read = 0

    def fetch(offset: int, size: int) -> bytes:
        nonlocal read
        read += size
        return stream[offset : offset + size]

    said = open_dump(BytesByRange(fetch, len(stream), block_bytes=512))
    assert (said.log, said.problems) == (LOG_TEXT, ())
    assert read < len(stream) / 4
