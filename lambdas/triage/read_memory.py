"""Reads from a log who had the memory: the whole machine's, a cgroup's, each process's. Pure."""

import re
from dataclasses import dataclass

from lambdas.triage.model import Memory, ProcessMemory
from lambdas.triage.printk import Line

# active_anon:126 inactive_anon:484213 isolated_anon:0 (pages) · Node 0 active_anon:504kB inactive_anon:1936852kB …
_COUNT = re.compile(r"\b(\w{2,30}):(\d{1,14})(?!\d)(kB)?")
# The line of a whole node; those of its zones ("Node 0 DMA32 free:…") repeat the same counts.
_NODE = re.compile(r"Node \d{1,5} active_anon:")
_PAGES_OF_RAM = re.compile(r"(\d{1,14}) pages RAM")
# [    777]     0   777   484532   481310  3903488        0             0 stress
# The columns differ between kernels: [  pid  ]   uid  tgid total_vm      rss … oom_score_adj name
_PROCESS_HEADER = re.compile(r"\[ {1,3}pid {1,3}\]((?: +\w{2,20}){3,20}) +name$")
_PROCESS = re.compile(r"\[ {0,8}(\d{1,10})\](?: +-?\d{1,14}){3,20} .{1,40}")
# memory: usage 1048576kB, limit 1048576kB, failcnt 811: a cgroup's, without a Mem-Info
_OF_CGROUP = re.compile(r"memory: usage \d{1,15}kB, limit (?P<limit>\d{1,13})kB, failcnt ")
_COUNTED = re.compile(r"-?[0-9]{1,14}")
_PAGE_BYTES = (4096, 16384, 65536)
# kmalloc-64               41221KB      41321KB
_SLAB = re.compile(r"(\S{1,100}) {1,40}\d{1,13}KB {1,20}(\d{1,13})KB")
# A process has 15 characters, a thread of the kernel up to 63. More is the line of another CPU behind it.
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Slab:
    """A row of the kernel's list of slab caches."""

    name: str
    size_bytes: int


def memory(lines: list[Line], *, is_out: bool = False) -> Memory | None:
    """The last Mem-Info, which the out-of-memory killer or sysrq-m print, with all processes; None without one.
    `is_out`: a cgroup that was out of memory counts too, and its limit is then the total."""
    place = _last_told(lines, is_out=is_out)
    if place is None:
        return None
    cgroup = _OF_CGROUP.match(lines[place].text)
    if cgroup is not None:
        limit_bytes = int(cgroup["limit"]) * 1024
        return Memory(total_bytes=limit_bytes, processes=_processes(lines[place + 1 :], _PAGE_BYTES[0]))
    pages, page_bytes, total = _counts(lines[place + 1 :])

    def bytes_of(*names: str) -> int | None:
        known = [pages[name] for name in names if name in pages]
        return sum(known) * page_bytes if known else None

    return Memory(
        total_bytes=total * page_bytes if total is not None else None,
        free_bytes=bytes_of("free"),
        anonymous_bytes=bytes_of("active_anon", "inactive_anon"),
        file_bytes=bytes_of("active_file", "inactive_file"),
        slab_bytes=bytes_of("slab_reclaimable", "slab_unreclaimable"),
        processes=_processes(lines[place + 1 :], page_bytes),
    )


def largest_slab(lines: list[Line]) -> Slab | None:
    """The largest slab cache that cannot be reclaimed, which the out-of-memory killer prints if slabs had most."""
    place = _last_told(lines, is_out=True) or 0
    rows = (found for line in lines[place:] if (found := _SLAB.fullmatch(line.text)) is not None)
    return max((Slab(row[1], int(row[2]) * 1024) for row in rows), key=lambda each: each.size_bytes, default=None)


def _last_told(lines: list[Line], *, is_out: bool) -> int | None:
    for place in range(len(lines) - 1, -1, -1):
        text = lines[place].text
        if text.startswith("Mem-Info:") or (is_out and text.startswith("memory: usage ") and _OF_CGROUP.match(text)):
            return place
    return None


def _counts(lines: list[Line]) -> tuple[dict[str, int], int, int | None]:
    """Pages by name, the size of a page (the nodes' lines give the same counts in kB), and the pages of RAM."""
    pages: dict[str, int] = {}
    kilobytes: dict[str, int] = {}
    total = None
    for line in lines[:400]:
        found = _PAGES_OF_RAM.match(line.text)
        if found:
            total = int(found[1])
        elif _NODE.match(line.text):
            for name, count, unit in _COUNT.findall(line.text):
                if unit and "active_anon" in name:
                    kilobytes[name] = kilobytes.get(name, 0) + int(count)
        elif not line.text.startswith("Node ") and (not pages or line.text[:1] == " "):
            pages |= {
                name: int(count) for name, count, unit in _COUNT.findall(line.text) if not unit and name not in pages
            }
    for name, kib in kilobytes.items():
        if pages.get(name) and kib:
            page_bytes = min(_PAGE_BYTES, key=lambda size: abs(size - 1024 * kib // pages[name]))
            return pages, page_bytes, total
    return pages, _PAGE_BYTES[0], total


def _processes(lines: list[Line], page_bytes: int) -> tuple[ProcessMemory, ...]:
    found: list[ProcessMemory] = []
    columns: list[str] = []
    for line in lines:
        if not line.text.startswith("["):
            continue
        header = _PROCESS_HEADER.match(line.text)
        if header is not None:
            columns, found = header[1].split(), []
        elif columns and (row := _PROCESS.match(line.text)) is not None and "rss" in columns:
            # A name may hold spaces, and begin with digits.
            values = line.text.partition("]")[2].split(maxsplit=len(columns))
            if len(values) <= len(columns) or not _COUNTED.fullmatch(values[columns.index("rss")]):
                continue
            rss = int(values[columns.index("rss")])
            name = values[-1].strip()[:_LONGEST_NAME]
            found.append(ProcessMemory(name=name, pid=int(row[1]), rss_bytes=max(0, rss) * page_bytes))
    return tuple(sorted(found, key=lambda each: -each.rss_bytes))
