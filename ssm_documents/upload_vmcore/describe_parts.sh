#!/bin/bash
# Hashes the parts that are sent next. Each digest becomes part of its URL's signature, so S3 takes no other bytes. A
# batch is small enough to stay in the page cache until it is sent, one round later.

# Converts the hexadecimal digest on stdin to base64, with only bash and coreutils.
base64_of_hex() {
  local escaped
  escaped="$(cut -c 1-64 | sed 's/../\\x&/g')"
  printf '%b' "$escaped" | base64 -w 0
}

# Only at the beginning of a pipeline: it replaces the subshell, one process less per job. 128 KiB stay in the
# processor's cache on their way through the pipe; with 1 MiB the same upload takes 1.5 times as long.
read_part() { exec dd if="$1" bs=128K iflag=skip_bytes,count_bytes skip="$2" count="$3" status=none; }

# digest_of FILE OFFSET LENGTH: base64 of the SHA-256, as S3 wants it. The sha256sum of Debian and Ubuntu does not use the
# processor's SHA instructions and is five times slower than OpenSSL, but a minimal host has only sha256sum.
digest_of() {
  if command -v openssl >/dev/null; then
    read_part "$1" "$2" "$3" | openssl dgst -sha256 -binary | base64 -w 0
  else
    read_part "$1" "$2" "$3" | sha256sum | base64_of_hex
  fi
}

# xargs runs it once per part in its own bash. One line is one write, so the lines of several jobs do not mix.
describe_part() {
  local file="$1" first="$2" offset="$3" end="$4" part_bytes="$5" index="$6" begin length line
  begin=$((offset + index * part_bytes))
  length=$((end - begin < part_bytes ? end - begin : part_bytes))
  line="$((first + index))"$'\t'"$length"$'\t'"$(digest_of "$file" "$begin" "$length")"
  printf '%s\n' "$line" >>"$WORK_DIR/described"
}

# Whether work_quickly hashed all $1 parts.
are_described() { [[ "$(grep -Ec $'^[0-9]+\t[0-9]+\t[A-Za-z0-9+/]{43}=$' "$WORK_DIR/described")" == "$1" ]]; }

describe_parts() {
  local file="$1" first="$2" offset="$3" length="$4" part_bytes="$5" count
  count=$(((length + part_bytes - 1) / part_bytes))
  if are_described "$count"; then return; fi
  : >"$WORK_DIR/described"
  # shellcheck disable=SC2016 # expands in the inner bash
  seq 0 $((count - 1)) | xargs -P "$SSM_parallelism" -n 1 bash -c 'set -euo pipefail; describe_part "$@"' _ \
    "$file" "$first" "$offset" $((offset + length)) "$part_bytes"
}

# Reads its line of the manifest from stdin, and uploads the list of digests to the line's URL.
describe_batch() {
  local file="$1" kind first offset length part_bytes url
  IFS=$'\t' read -r kind first offset length part_bytes url
  describe_parts "$file" "$first" "$offset" "$length" "$part_bytes"
  sort -n "$WORK_DIR/described" >"$WORK_DIR/digests"
  length="$(size_of "$WORK_DIR/digests")"
  put_part "list of digests" "$WORK_DIR/digests" 0 "$length" none "$url"
}
