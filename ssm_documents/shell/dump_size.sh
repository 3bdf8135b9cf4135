#!/bin/bash
# How large a dump of level $1 would be if the host crashed now, before its compression.
# no | failed | yes
IS_MEASURED=no
EXPECTED_BYTES=0

# makedumpfile reads /proc/kcore as it would read the vmcore. It does so only while memory is reserved for a crash kernel.
# Its table, or what it says instead, goes to $WORK_DIR/mem-usage.
measure_dump() {
  if (($(reserved_bytes) == 0)) || [[ ! -e "$HOST_ROOT/proc/kcore" ]] || ! command -v makedumpfile >/dev/null; then return 0; fi
  IS_MEASURED=failed
  if timeout 60 makedumpfile --mem-usage "$HOST_ROOT/proc/kcore" >"$WORK_DIR/mem-usage" 2>&1; then
    IS_MEASURED=yes
    EXPECTED_BYTES="$(kept_bytes "$1" <"$WORK_DIR/mem-usage")"
  fi
}

# Of the table on stdin, the pages that the level keeps. A level without private cache pages (4) has no others either.
kept_bytes() {
  awk -v level="${1:-0}" '
    function leaves_out(bit) { return int(level / bit) % 2 }
    $1 == "KERN_DATA" || ($1 == "ZERO" && !leaves_out(1)) || ($1 == "NON_PRI_CACHE" && !leaves_out(2) && !leaves_out(4)) ||
      ($1 == "PRI_CACHE" && !leaves_out(4)) || ($1 == "USER" && !leaves_out(8)) || ($1 == "FREE" && !leaves_out(16)) { pages += $2 }
    /^page size:/ { page_bytes = $3 }
    END { printf "%.0f", pages * page_bytes }'
}

# The same from the counts of a kernel without a reservation. They know no zero pages, and not the 2 % of the kernel
# itself and its page structures, which MemTotal leaves out.
estimated_bytes() {
  awk -v level="$1" '
    function leaves_out(bit) { return int(level / bit) % 2 }
    { kib[$1] = $2 }
    END {
      # Before Linux 4.16 there is no Hugetlb.
      huge = "Hugetlb:" in kib ? kib["Hugetlb:"] : kib["HugePages_Total:"] * kib["Hugepagesize:"]
      if (leaves_out(2) || leaves_out(4)) left_out += kib["Buffers:"] + kib["Cached:"] + kib["SwapCached:"]
      if (leaves_out(8)) left_out += kib["AnonPages:"] + huge
      if (leaves_out(16)) left_out += kib["MemFree:"]
      total = kib["MemTotal:"]
      printf "%.0f", 1024 * (total - (left_out < total ? left_out : total) + total / 50)
    }' "$HOST_ROOT/proc/meminfo"
}
