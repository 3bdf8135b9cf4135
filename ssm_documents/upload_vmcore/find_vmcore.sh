#!/bin/bash
# Finds the vmcore of one crash and reports it.

# Seconds that the crash kernel's clock may be ahead of this kernel's.
CLOCK_TOLERANCE=60

boot_epoch() { sed -n 's/^btime //p' "$HOST_ROOT/proc/stat"; }

# Sets VMCORE and STATUS: the newest complete dump of this crash, or else the newest incomplete one. It was written after
# `since` and before this boot; a younger file is a copy that somebody makes (TOO_YOUNG).
choose_dump() {
  local epoch path latest
  VMCORE="" STATUS="" TOO_YOUNG=""
  latest=$(($(boot_epoch) + CLOCK_TOLERANCE))
  look_beneath ro || true
  dumps_and_those_beneath >"$WORK_DIR/dumps"
  while read -r epoch path; do
    if [[ "$SSM_since" != none ]] && ((epoch <= 10#$SSM_since)); then continue; fi
    if ((epoch > latest)); then
      TOO_YOUNG="$path"
      continue
    fi
    if is_dump_complete "$path"; then
      VMCORE="$path" STATUS=complete
      return
    fi
    if [[ -z "$VMCORE" ]]; then VMCORE="$path" STATUS=incomplete; fi
  done <"$WORK_DIR/dumps"
}

# kdump-tools gives such a dump the compression's extension: dump.202611230400.gz
compressed_dump() {
  { find "$HOST_ROOT$SSM_mountPoint" -mindepth 2 -maxdepth 3 -type f -regex '.*/\(dump\|vmcore\)\.[0-9]*\.\(gz\|xz\|bz2\|lz4\)' 2>/dev/null || true; } |
    sort | tail -n 1 | sed "s|^$HOST_ROOT||"
}

vmcore_json() {
  printf '{"path":%s,"sizeBytes":%s,"modifiedEpoch":%s' "$(json_string "$(reported_path "$VMCORE")")" "$(size_of "$VMCORE")" \
    "$(modified_epoch_of "$VMCORE")"
  if is_beneath "$VMCORE"; then printf ',"beneathMount":true'; fi
  printf '}'
}

dmesg_json() {
  local dmesg size
  dmesg="$(dmesg_of "$VMCORE")"
  if [[ -z "$dmesg" ]]; then
    printf null
    return
  fi
  size="$(size_of "$dmesg")"
  printf '{"path":%s,"sizeBytes":%s,"digest":%s}' "$(json_string "$(reported_path "$dmesg")")" "$size" \
    "$(json_string "$(digest_of "$dmesg" 0 "$size")")"
}

find_vmcore() {
  local vmcore dmesg after="" young="" packed
  choose_dump
  if [[ -z "$VMCORE" ]]; then
    [[ "$SSM_since" == none ]] || after=" written after $(TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T' "$SSM_since")"
    [[ -z "$TOO_YOUNG" ]] || young=" $(reported_path "$TOO_YOUNG") was written after this boot, so it is not this crash's."
    packed="$(compressed_dump)"
    [[ -z "$packed" ]] || fail VmcoreNotFound "$packed is compressed as a whole, by KDUMP_COMPRESSION in /etc/default/kdump-tools. Unpack it in its directory (gunzip, unxz, bunzip2 or unlz4), and collect again; configure_kdump empties the setting."
    fail VmcoreNotFound "There is no dump$after below $SSM_mountPoint.$young The console output of the crash kernel says what became of it; was the dump volume mounted?"
  fi
  vmcore="$(vmcore_json)"
  dmesg="$(dmesg_json)"
  succeed "{\"status\":\"$STATUS\",\"vmcore\":$vmcore,\"dmesg\":$dmesg,\"bootId\":$(json_string "$(boot_id)"),\
\"bootedAt\":$(json_string "$(booted_at)"),\"kernel\":$(json_string "$(kernel_release)"),\"memoryBytes\":$(memory_bytes)}"
}
