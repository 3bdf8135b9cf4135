#!/bin/bash
# How large a dump would be if the host crashed now, before its compression: makedumpfile reads /proc/kcore as it would read
# the vmcore. It does so only while memory is reserved for a crash kernel.
# no | failed | yes
IS_MEASURED=no
EXPECTED_BYTES=0

# Its table, or what it says instead, goes to $WORK_DIR/mem-usage.
measure_dump() {
  if (($(reserved_bytes) == 0)) || [[ ! -e "$HOST_ROOT/proc/kcore" ]] || ! command -v makedumpfile >/dev/null; then return 0; fi
  IS_MEASURED=failed
  if timeout 60 makedumpfile --mem-usage "$HOST_ROOT/proc/kcore" >"$WORK_DIR/mem-usage" 2>&1; then
    IS_MEASURED=yes
    EXPECTED_BYTES="$(kept_bytes "$(family dump_level)" <"$WORK_DIR/mem-usage")"
  fi
}

# Of the table on stdin, the pages that dump level $1 keeps. A level without private cache pages (4) has no others either.
kept_bytes() {
  awk -v level="${1:-0}" '
    function leaves_out(bit) { return int(level / bit) % 2 }
    $1 == "KERN_DATA" || ($1 == "ZERO" && !leaves_out(1)) || ($1 == "NON_PRI_CACHE" && !leaves_out(2) && !leaves_out(4)) ||
      ($1 == "PRI_CACHE" && !leaves_out(4)) || ($1 == "USER" && !leaves_out(8)) || ($1 == "FREE" && !leaves_out(16)) { pages += $2 }
    /^page size:/ { page_bytes = $3 }
    END { printf "%.0f", pages * page_bytes }'
}
