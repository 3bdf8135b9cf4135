#!/bin/bash
# Finds a makedumpfile that is too old for the running kernel. It says nothing itself: it leaves out pages that crash needs,
# or takes all pages.

# From this Linux on, before this makedumpfile. Its commits that mended it: 5f17bdd and 446c4f6; bad2a7c and 985e575; 72c3414
# ("in the common case we now simply dump all memory").
MAKEDUMPFILE_FAULTS="6.2 1.7.3 leaves out slab pages, so that crash may not read the dump, and takes huge pages
6.10 1.7.6 leaves out slab pages, so that crash may not read the dump, and takes huge pages
6.12 1.7.7 takes nearly all pages"

is_older_version() { [[ "$1" != "$2" && "$(printf '%s\n' "$1" "$2" | sort -V | sed -n 1p)" == "$1" ]]; }

# makedumpfile: version 1.7.2 (released on 20 Oct 2022)
makedumpfile_version() { { makedumpfile -v 2>&1 || true; } | sed -n 's/^makedumpfile: version \([0-9.]*[0-9]\).*/\1/p'; }

# "FIXED-IN WHAT-IT-DOES": the last one that fits this kernel and this makedumpfile. RHEL 10's 1.7.6 has the later changes.
makedumpfile_fault() {
  local kernel version since fixed fault
  kernel="$(kernel_release)"
  version="$(makedumpfile_version)"
  if [[ -z "$version" || "$kernel" == *.el10* ]]; then return 0; fi
  while read -r since fixed fault; do
    if is_older_version "$version" "$fixed" && ! is_older_version "${kernel%%[!0-9.]*}" "$since"; then echo "$fixed $fault"; fi
  done <<<"$MAKEDUMPFILE_FAULTS" | tail -n 1
}

find_old_makedumpfile() {
  local fault
  fault="$(makedumpfile_fault)"
  [[ -n "$fault" ]] || return 0
  note_finding makedumpfile-too-old "makedumpfile $(makedumpfile_version) with Linux $(kernel_release) ${fault#* }, unless the distribution has mended it: a dump may need $(($(bytes_needed) >> 20)) MiB" "update makedumpfile to ${fault%% *} or later, or keep that much free in $SSM_mountPoint"
}
