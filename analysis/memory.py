"""The use of memory: totals, slab caches, processes."""

from typing import Any

import drgn
from drgn.helpers.linux.mm import task_rss, totalram_pages
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.sched import thread_group_leader
from drgn.helpers.linux.slab import for_each_slab_cache, slab_cache_pages_per_slab, slab_cache_usage
from drgn.helpers.linux.vmstat import nr_free_pages

from analysis.backtrace import describe_task

MOST_ENTRIES = 50


def measure_memory(program: drgn.Program) -> dict[str, Any]:
    """Totals in bytes; the `MOST_ENTRIES` largest slab caches and processes."""
    page_bytes = program["PAGE_SIZE"].value_()
    return {
        "totalBytes": int(totalram_pages(program)) * page_bytes,
        "freeBytes": int(nr_free_pages(program)) * page_bytes,
        "slabs": _largest(_slabs(program, page_bytes), "bytes"),
        "processes": _largest(_processes(program, page_bytes), "rssBytes"),
    }


def _largest(entries: list[dict[str, Any]], size: str) -> list[dict[str, Any]]:
    return sorted((each for each in entries if each[size]), key=lambda each: -int(each[size]))[:MOST_ENTRIES]


def _slabs(program: drgn.Program, page_bytes: int) -> list[dict[str, Any]]:
    slabs = []
    for cache in for_each_slab_cache(program):
        pages = slab_cache_usage(cache).num_slabs * slab_cache_pages_per_slab(cache)
        slabs.append({"name": cache.name.string_().decode(errors="replace"), "bytes": int(pages) * page_bytes})
    return slabs


def _processes(program: drgn.Program, page_bytes: int) -> list[dict[str, Any]]:
    return [
        {**describe_task(task), "rssBytes": max(0, int(task_rss(program, task).total)) * page_bytes}
        for task in for_each_task(program)
        if thread_group_leader(task) and task.mm
    ]
