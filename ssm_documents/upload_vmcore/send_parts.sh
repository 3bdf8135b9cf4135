#!/bin/bash
# Sends the parts: each line of the manifest is one PUT to its presigned URL, and S3 checks the digest.
# URLs are secrets: curl reads them from a file descriptor, so they are in no argument list and no output.
MAX_ATTEMPTS=6

# curl's own --retry cannot rewind a pipe, so each attempt reads the part again. $1-$3: file, offset, length.
put_once() {
  local file="$1" offset="$2" length="$3" digest="$4" url="$5" options
  read -ra options <<<"$CURL_OPTIONS"
  [[ "$digest" == none ]] || options+=(--header "x-amz-checksum-sha256: $digest")
  read_part "$file" "$offset" "$length" 2>/dev/null |
    curl "${options[@]}" --header "Content-Length: $length" --upload-file - --config <(printf 'url = "%s"\n' "$url") 2>/dev/null
}

# Transient: no answer (000), 400 (S3's answer to a body that was truncated or damaged), 408, 429 and 5xx.
# Returns 1 if refused, 2 after the last attempt. The waits have a random part, so that failed jobs do not retry together.
put_part() {
  local name="$1" attempt delay=1 answer
  shift
  for ((attempt = 1; attempt <= MAX_ATTEMPTS; attempt++)); do
    # Uses a file: a command substitution would need one more bash for each job that waits for curl.
    put_once "$@" >"$WORK_DIR/answer.$BASHPID" || true
    answer=""
    read -r answer <"$WORK_DIR/answer.$BASHPID" || true
    case "$answer" in
      2??) return 0 ;;
      403) echo "$name was refused with 403" >>"$WORK_DIR/refused" && return 1 ;;
      000 | 400 | 408 | 429 | 5??) ;;
      *) echo "$name: HTTP $answer" >>"$WORK_DIR/failed" && return 2 ;;
    esac
    echo "$name: attempt $attempt got HTTP $answer" >&2
    if ((attempt < MAX_ATTEMPTS)); then sleep "$delay.$((RANDOM % 10))"; fi
    delay=$((delay * 2))
  done
  echo "$name: HTTP $answer after $MAX_ATTEMPTS attempts" >>"$WORK_DIR/failed"
  return 2
}

# xargs runs it once per part in its own bash; exit code 255 makes xargs stop.
send_numbered_part() {
  local line kind number offset length digest url
  line="$(sed -n "$2{p;q}" "$WORK_DIR/left")"
  IFS=$'\t' read -r kind number offset length digest url <<<"$line"
  put_part "$kind $number" "$1" "$offset" "$length" "$digest" "$url" || exit 255
  printf '%s\t%s\n' "$number" "$length" >>"$WORK_DIR/sent"
}

send_dmesg() {
  local dmesg line kind number offset length digest url
  while IFS=$'\t' read -r kind number offset length digest url; do
    dmesg="$(dmesg_of "$HOST_ROOT$SSM_vmcorePath")"
    [[ -n "$dmesg" ]] || fail UploadFailed "The dmesg beside $SSM_vmcorePath is gone. Find the vmcore again."
    put_part dmesg "$dmesg" "$offset" "$length" "$digest" "$url" || fail_upload
    printf '%s\t%s\n' "$number" "$length" >>"$WORK_DIR/sent"
  done < <(grep '^dmesg' "$WORK_DIR/manifest")
}

# The parts that work_quickly has not sent.
send_parts_left() {
  awk 'FILENAME == ARGV[1] { sent[$1]; next } !($2 in sent)' "$WORK_DIR/sent" "$WORK_DIR/parts" >"$WORK_DIR/left"
  [[ ! -s "$WORK_DIR/left" ]] || send_numbered_parts
}

send_numbered_parts() {
  # shellcheck disable=SC2016 # expands in the inner bash
  seq 1 "$(wc -l <"$WORK_DIR/left")" |
    xargs -P "$SSM_parallelism" -n 1 bash -c 'set -euo pipefail; send_numbered_part "$@"' _ "$HOST_ROOT$SSM_vmcorePath"
}

fail_upload() {
  if [[ -s "$WORK_DIR/refused" ]]; then
    fail UploadRefused "$(head -n 1 "$WORK_DIR/refused"). The vmcore is kept. The URL may have expired (plan the upload again), or the bucket denies the uploader's role."
  fi
  fail UploadFailed "$(head -n 1 "$WORK_DIR/failed" 2>/dev/null || echo "A part could not be sent"). The vmcore is kept; what arrived stays, so plan the upload again to send the rest."
}

sent_bytes() { awk '{ sum += $2 } END { printf "%.0f", sum }' "$WORK_DIR/sent"; }
