"""Block requests in flight: requests that a disk has not answered."""

from typing import Any

import drgn
from drgn.helpers.linux.block import blk_rq_bytes, disk_name, for_each_disk, req_op, request_queue_busy_iter
from drgn.helpers.linux.timekeeping import ktime_get_coarse_ns

MOST_REQUESTS = 500


def list_block_requests(program: drgn.Program) -> list[dict[str, Any]]:
    """The requests, oldest first. `ageSeconds` is null if the kernel recorded no time (no statistics or scheduler)."""
    now_ns = _now_ns(program)
    requests = [
        _describe(disk_name(disk).decode(errors="replace"), request, now_ns)
        for disk in for_each_disk(program)
        for request in request_queue_busy_iter(disk.queue)
    ]
    requests.sort(key=lambda each: -(each["ageSeconds"] or 0.0))
    return requests[:MOST_REQUESTS]


def _describe(device: str, request: drgn.Object, now_ns: int) -> dict[str, Any]:
    started_ns = request.start_time_ns.value_()
    age_seconds = round((now_ns - started_ns) / 1e9, 3) if started_ns and now_ns > started_ns else None
    return {
        "device": device,
        # REQ_OP_READ → read
        "operation": req_op(request).format_(type_name=False).split(" ")[0].strip("()").replace("REQ_OP_", "").lower(),
        "sector": request.member_("__sector").value_(),
        "bytes": int(blk_rq_bytes(request)),
        "ageSeconds": age_seconds,
    }


def _now_ns(program: drgn.Program) -> int:
    """The monotonic clock at the crash, as of the last tick."""
    try:
        return int(ktime_get_coarse_ns(program))
    except (LookupError, AttributeError):
        return 0
