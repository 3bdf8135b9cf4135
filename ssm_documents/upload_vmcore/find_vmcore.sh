#!/bin/bash
# Owns the search for the vmcore of one crash and the digests of its parts.

# Seconds that the clock of the crash kernel may be ahead of ours.
CLOCK_TOLERANCE=60

boot_epoch() { sed -n 's/^btime //p' "$HOST_ROOT/proc/stat"; }

# Sets VMCORE and STATUS: the newest complete dump of this crash, else its newest that is incomplete. This crash's was written
# after `since` and before this boot; what is younger is a copy that somebody makes (TOO_YOUNG).
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

# The smallest multiple of 8 MiB that gives at most 400 parts: 400 digests fit into the 24,000 characters that SSM keeps.
part_bytes_for() {
  local step=$((8 * 1024 * 1024)) limit=400
  local steps=$((($1 + step * limit - 1) / (step * limit)))
  echo $((step * (steps > 0 ? steps : 1)))
}

# Runs once per part in its own bash, below xargs.
write_part_digest() {
  local file="$1" part_bytes="$2" index="$3"
  digest_of "$file" $((index * part_bytes)) "$part_bytes" >"$WORK_DIR/digest.$index"
}

write_digests() {
  local file="$1" part_bytes="$2" count="$3"
  export WORK_DIR
  export -f write_part_digest digest_of read_part base64_of_hex
  # shellcheck disable=SC2016 # expands in the inner bash
  seq 0 $((count - 1)) | xargs -P "$SSM_parallelism" -n 1 bash -c 'set -euo pipefail; write_part_digest "$@"' _ "$file" "$part_bytes"
}

vmcore_json() {
  local size modified part_bytes count index
  size="$(size_of "$VMCORE")"
  modified="$(modified_epoch_of "$VMCORE")"
  printf '{"path":%s,"sizeBytes":%s,"modifiedEpoch":%s' "$(json_string "$(reported_path "$VMCORE")")" "$size" "$modified"
  if is_beneath "$VMCORE"; then printf ',"beneathMount":true'; fi
  if [[ "$STATUS" == complete ]]; then
    part_bytes="$(part_bytes_for "$size")"
    count=$(((size + part_bytes - 1) / part_bytes))
    write_digests "$VMCORE" "$part_bytes" "$count"
    printf ',"partBytes":%s,"partDigests":' "$part_bytes"
    for ((index = 0; index < count; index++)); do
      cat "$WORK_DIR/digest.$index"
      echo
    done | json_list
  fi
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
  local vmcore dmesg after="" young=""
  choose_dump
  if [[ -z "$VMCORE" ]]; then
    [[ "$SSM_since" == none ]] || after=" written after $(TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T' "$SSM_since")"
    [[ -z "$TOO_YOUNG" ]] || young=" $(reported_path "$TOO_YOUNG") was written after this boot, so it is not this crash's."
    fail VmcoreNotFound "There is no dump$after below $SSM_mountPoint.$young The console output of the crash kernel says what became of it; was the dump volume mounted?"
  fi
  vmcore="$(vmcore_json)"
  dmesg="$(dmesg_json)"
  succeed "{\"status\":\"$STATUS\",\"vmcore\":$vmcore,\"dmesg\":$dmesg,\"bootId\":$(json_string "$(boot_id)"),\
\"bootedAt\":$(json_string "$(booted_at)"),\"kernel\":$(json_string "$(kernel_release)")}"
}
