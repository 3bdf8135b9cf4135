"""Whatever a dump holds, opening it ends soon, in a description of visible text or in VmcoreUnreadable.

The fuzz has a hundredth of the budget and of open_vmcore's time: work that no budget counts then shows as time.
"""

import json
from collections import Counter
from dataclasses import asdict

import pytest

from lambdas.runtime.errors import VmcoreUnreadable
from lambdas.vmcore.budget import MOST, Budget, Cost
from lambdas.vmcore.bytes_by_range import BytesByRange
from lambdas.vmcore.decompress import decompress
from lambdas.vmcore.open_dump import OpenedDump, open_dump
from tests.fuzz import Fuzz
from tests.lambdas.vmcore.hostile_dumps import HostileDump, hostile_dump
from tests.lambdas.vmcore.packed_pages import HostilePage, hostile_page

_SHARE = 100
_BUDGET = {cost: amount // _SHARE for cost, amount in MOST.items()}
# open_vmcore has 300 s and 1,024 MiB, of which Python and the SDK take a fifth.
_SECONDS, _MEMORY_BYTES = 300 / _SHARE, 800 * 1024**2
# The end of the kernel's log, which is limited to 4 MiB, a time of up to 21 characters for each line, its last record.
_LONGEST_LOG = 8 * 1024**2
_LONGEST_TEXT = 700


def open_within_budget(dump: HostileDump) -> None:
    read: Counter[str] = Counter()

    def fetch(offset: int, size: int) -> bytes:
        read["bytes"] += size
        return dump.fetch(offset, size)

    budget = Budget(_BUDGET)
    try:
        opened = open_dump(BytesByRange(fetch, dump.size_bytes, block_bytes=dump.block_bytes, budget=budget))
    except VmcoreUnreadable as unreadable:
        assert_named(unreadable)
    else:
        assert_fit_for_people(opened)
    assert read["bytes"] <= _BUDGET[Cost.REQUESTS] * dump.block_bytes, f"{read['bytes']} bytes were read"


def assert_named(error: VmcoreUnreadable) -> None:
    assert type(error) is VmcoreUnreadable, "the workflow knows the error by the name of its class"
    assert_visible(str(error))


def assert_fit_for_people(opened: OpenedDump) -> None:
    for text in (opened.format, opened.architecture, opened.kernel_release, opened.build_id, opened.panic_line):
        assert_visible(text)
    for problem in opened.problems:
        assert_visible(problem)
    assert opened.kaslr_offset is None or abs(opened.kaslr_offset) < 1 << 64
    assert len(opened.log) <= _LONGEST_LOG
    json.dumps(asdict(opened)).encode()
    opened.log.encode()


def assert_visible(text: str) -> None:
    assert text.isprintable(), f"invisible characters in {text!r}"
    assert len(text) <= _LONGEST_TEXT, f"{len(text)} characters: {text[:100]!r}"


def unpack(page: HostilePage) -> None:
    try:
        assert len(decompress(page.data, page.flags, size=page.size)) == page.size
    except VmcoreUnreadable as unreadable:
        assert_named(unreadable)


@pytest.mark.timeout(7200)
def test_no_dump_opens_badly() -> None:
    Fuzz(
        name="dumps",
        make=hostile_dump,
        judge=open_within_budget,
        saved=lambda dump: dump.data,
        most_seconds=_SECONDS,
        most_memory_bytes=_MEMORY_BYTES,
    ).run()


@pytest.mark.timeout(7200)
def test_no_page_unpacks_to_another_size() -> None:
    Fuzz(
        name="pages",
        make=hostile_page,
        judge=unpack,
        saved=lambda page: page.data,
        most_seconds=1,
        most_memory_bytes=50 * 1024**2,
    ).run()
