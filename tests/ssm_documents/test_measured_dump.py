"""How large a dump would be now: measured, or estimated where nothing is reserved; and whether it has room."""

from collections.abc import Callable

import pytest

from tests.ssm_documents.fake_root import MIB, VOLUME_ID, FakeRoot
from tests.ssm_documents.spoiling import replace

PAGE_BYTES = 4096
# zero, non-private cache, private cache, user, free, kernel
PAGES = (1000, 20_000, 300, 40_000, 150_000, 9000)


def _measurable(root: FakeRoot, pages: tuple[int, ...] = PAGES) -> FakeRoot:
    root.write("proc/kcore", "")
    root.write("memory-pages", " ".join(map(str, pages)) + "\n")
    return root


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        (31, PAGES[5]),
        (30, PAGES[0] + PAGES[5]),
        (23, PAGES[3] + PAGES[5]),
        (15, PAGES[4] + PAGES[5]),
        (27, PAGES[2] + PAGES[5]),
        # Without private cache pages there are no others either.
        (4, sum(PAGES) - PAGES[1] - PAGES[2]),
        (0, sum(PAGES)),
    ],
)
def test_size_is_that_of_the_pages_that_the_level_keeps(armed_root: FakeRoot, level: int, kept: int) -> None:
    replace(armed_root, "etc/default/kdump-tools", "-d 31", f"-d {level}")
    result = _measurable(armed_root).run("check_kdump", volumeId=VOLUME_ID).result
    assert result["expectedDumpBytes"] == kept * PAGE_BYTES


@pytest.mark.parametrize("name", ["debian12", "rhel9", "amzn2", "sles16"])
def test_dump_that_has_no_room_now_is_found_with_both_sizes(armed: Callable[[str], FakeRoot], name: str) -> None:
    root = _measurable(armed(name), (0, 0, 0, 0, 0, 2_000_000))
    result = root.run("check_kdump", volumeId=VOLUME_ID).result
    (finding,) = result["findings"]
    assert finding["code"] == "dump-target-too-small"
    assert "7168 MiB are free" in finding["observed"]
    assert "7812 MiB now" in finding["observed"]
    assert not result["ready"]


@pytest.mark.parametrize("why", ["no-kcore", "nothing-reserved", "makedumpfile-fails"])
def test_size_is_unknown_where_makedumpfile_cannot_tell(armed_root: FakeRoot, why: str) -> None:
    if why == "nothing-reserved":
        _measurable(armed_root).write("sys/kernel/kexec_crash_size", "0\n")
    if why == "makedumpfile-fails":
        _measurable(armed_root).write("makedumpfile-says", "Can't get the size of memory.\nmakedumpfile Failed.\n")
    result = armed_root.run("check_kdump", volumeId=VOLUME_ID).result
    assert result["expectedDumpBytes"] == 0
    assert "dump-target-too-small" not in [finding["code"] for finding in result["findings"]]
    assert result["freeBytes"] == 7168 * MIB


KIB_OF_MEMINFO = {
    "MemTotal": 900_000,
    "MemFree": 300_000,
    "Buffers": 10_000,
    "Cached": 200_000,
    "SwapCached": 5_000,
    "AnonPages": 150_000,
    "HugePages_Total": 20,
    "Hugepagesize": 2_048,
    "Hugetlb": 40_960,
}


def _with_meminfo(root: FakeRoot, *, without: str = "") -> FakeRoot:
    lines = (f"{key}:  {value} kB\n" for key, value in KIB_OF_MEMINFO.items() if key != without)
    root.write("proc/meminfo", "".join(lines))
    return root


@pytest.mark.parametrize(
    ("level", "left_out_kib"),
    [
        ("31", 300_000 + 215_000 + 190_960),
        ("17", 300_000),
        ("9", 190_960),
        ("2", 215_000),
        ("4", 215_000),
        ("0", 0),
    ],
)
def test_fresh_host_estimates_what_a_level_keeps(root: FakeRoot, level: str, left_out_kib: int) -> None:
    result = _with_meminfo(root).run("measure_dump", dumpLevel=level).result
    assert result == {"expectedDumpBytes": (900_000 - left_out_kib + 18_000) * 1024, "method": "meminfo"}


def test_kernels_without_a_count_of_huge_pages_have_their_number(root: FakeRoot) -> None:
    counted = _with_meminfo(root).run("measure_dump").result
    assert _with_meminfo(root, without="Hugetlb").run("measure_dump").result == counted


def test_host_that_reserves_memory_is_measured(armed_root: FakeRoot) -> None:
    result = _measurable(armed_root).run("measure_dump", dumpLevel="31").result
    assert result == {"expectedDumpBytes": PAGES[5] * PAGE_BYTES, "method": "makedumpfile"}
