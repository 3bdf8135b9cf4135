#!/bin/bash
# Owns the upload: each line of the manifest is one PUT to its presigned URL, whose digest S3 checks.
# URLs are secrets: curl reads them from a file descriptor, they are in no argument list and in no output.
MANIFEST_PATTERN=$'^(dmesg|part)\t[0-9]{1,5}\t[0-9]{1,15}\t[1-9][0-9]{0,14}\t[A-Za-z0-9+/]{43}=\thttps?://[A-Za-z0-9.:-]+/[A-Za-z0-9%&=._~/?+:-]+$'
MAX_ATTEMPTS=6

# curl's own --retry cannot rewind a pipe: each attempt reads the part anew. $1-$3: file, offset, length; the rest to curl.
put_once() {
  local file="$1" offset="$2" length="$3" digest="$4" url="$5"
  read_part "$file" "$offset" "$length" 2>/dev/null |
    curl --silent --output /dev/null --write-out '%{http_code}' --connect-timeout 10 --speed-limit 1024 --speed-time 60 \
      -H "Content-Length: $length" -H "Transfer-Encoding:" -H "Expect:" -H "x-amz-checksum-sha256: $digest" \
      --upload-file - --config <(printf 'url = "%s"\n' "$url") 2>/dev/null
}

# Transient: no answer (000), 400 (S3 says so to a body that was cut or damaged on its way), 408, 429 and 5xx.
# 1: refused, 2: given up.
put_part() {
  local name="$1" attempt delay=1 answer
  shift
  for ((attempt = 1; attempt <= MAX_ATTEMPTS; attempt++)); do
    answer="$(put_once "$@" || true)"
    case "$answer" in
      2??) return 0 ;;
      403) echo "$name was refused with 403" >>"$WORK_DIR/refused" && return 1 ;;
      000 | 400 | 408 | 429 | 5??) ;;
      *) echo "$name: HTTP $answer" >>"$WORK_DIR/failed" && return 2 ;;
    esac
    echo "$name: attempt $attempt got HTTP $answer" >&2
    if ((attempt < MAX_ATTEMPTS)); then sleep "$delay"; fi
    delay=$((delay * 2))
  done
  echo "$name: HTTP $answer after $MAX_ATTEMPTS attempts" >>"$WORK_DIR/failed"
  return 2
}

# Runs once per part in its own bash, below xargs; 255 makes xargs start no further part.
send_numbered_part() {
  local line kind number offset length digest url
  line="$(sed -n "$2p" "$WORK_DIR/parts")"
  IFS=$'\t' read -r kind number offset length digest url <<<"$line"
  put_part "$kind $number" "$1" "$offset" "$length" "$digest" "$url" || exit 255
  echo "$length" >"$WORK_DIR/sent.$2"
}

fetch_manifest() {
  local answer attempt
  command -v curl >/dev/null || fail PackageUnavailable "There is no curl on this host, and the upload needs it. Install it and run again."
  for ((attempt = 1; attempt <= 4; attempt++)); do
    answer="$(curl --silent --output "$WORK_DIR/manifest" --write-out '%{http_code}' --connect-timeout 10 --max-time 120 \
      --config <(printf 'url = "%s"\n' "$SSM_manifestUrl") 2>/dev/null || true)"
    case "$answer" in
      200) break ;;
      403) fail UploadRefused "The list of parts could not be read: HTTP 403. Its URL may have expired; plan the upload again." ;;
    esac
    sleep $((attempt * 2))
  done
  [[ "$answer" == 200 ]] || fail UploadFailed "The list of parts could not be read: HTTP $answer (000 means no connection). Can the instance reach the S3 endpoint of its Region?"
  if [[ "$(grep -Evc "$MANIFEST_PATTERN" "$WORK_DIR/manifest")" != 0 ]]; then
    fail UploadFailed "The list of parts has lines that are none. Plan the upload again."
  fi
}

send_dmesg() {
  local dmesg line kind number offset length digest url
  while IFS=$'\t' read -r kind number offset length digest url; do
    dmesg="$(dmesg_of "$HOST_ROOT$SSM_vmcorePath")"
    [[ -n "$dmesg" ]] || fail UploadFailed "The dmesg beside $SSM_vmcorePath is gone. Find the vmcore again."
    if put_part dmesg "$dmesg" "$offset" "$length" "$digest" "$url"; then echo "$length" >"$WORK_DIR/sent.dmesg"; else fail_upload; fi
  done < <(grep '^dmesg' "$WORK_DIR/manifest")
}

fail_upload() {
  if [[ -s "$WORK_DIR/refused" ]]; then
    fail UploadRefused "$(head -n 1 "$WORK_DIR/refused"). The vmcore is kept. The URL may have expired (plan the upload again), or the bucket denies the collector's role."
  fi
  fail UploadFailed "$(head -n 1 "$WORK_DIR/failed" 2>/dev/null || echo "A part could not be sent"). The vmcore is kept; what arrived stays, so plan the upload again to send the rest."
}

send_parts() {
  local started=$SECONDS count
  [[ "$SSM_manifestUrl" != none ]] || fail InvalidParameter "manifestUrl is needed for an upload."
  check_path_is_dump
  fetch_manifest
  grep '^part' "$WORK_DIR/manifest" >"$WORK_DIR/parts" || true
  count="$(wc -l <"$WORK_DIR/parts")"
  # Of an incomplete dump only the dmesg is sent, whatever became of the rest.
  if ((count > 0)); then check_unchanged; fi
  send_dmesg
  export WORK_DIR MAX_ATTEMPTS
  export -f send_numbered_part put_part put_once read_part
  if ((count > 0)); then
    # shellcheck disable=SC2016 # expands in the inner bash
    seq 1 "$count" | xargs -P "$SSM_parallelism" -n 1 bash -c 'set -euo pipefail; send_numbered_part "$@"' _ "$HOST_ROOT$SSM_vmcorePath" ||
      fail_upload
    check_unchanged
  fi
  succeed "{\"uploadedParts\":$count,\"uploadedBytes\":$(sent_bytes),\"seconds\":$((SECONDS - started))}"
}

sent_bytes() { cat "$WORK_DIR"/sent.* 2>/dev/null | awk '{ sum += $1 } END { printf "%d", sum }'; }
