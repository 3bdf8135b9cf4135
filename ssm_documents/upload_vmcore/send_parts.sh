#!/bin/bash
# Owns the sending: each line of the manifest is one PUT to its presigned URL, whose digest S3 checks.
# URLs are secrets: curl reads them from a file descriptor, they are in no argument list and in no output.
MAX_ATTEMPTS=6

# curl's own --retry cannot rewind a pipe: each attempt reads the part anew. $1-$3: file, offset, length.
put_once() {
  local file="$1" offset="$2" length="$3" digest="$4" url="$5" options
  read -ra options <<<"$CURL_OPTIONS"
  [[ "$digest" == none ]] || options+=(--header "x-amz-checksum-sha256: $digest")
  read_part "$file" "$offset" "$length" 2>/dev/null |
    curl "${options[@]}" --header "Content-Length: $length" --upload-file - --config <(printf 'url = "%s"\n' "$url") 2>/dev/null
}

# Transient: no answer (000), 400 (S3 says so to a body that was cut or damaged on its way), 408, 429 and 5xx.
# 1: refused, 2: given up. The waits differ by a random part, so that jobs which failed together do not return together.
put_part() {
  local name="$1" attempt delay=1 answer
  shift
  for ((attempt = 1; attempt <= MAX_ATTEMPTS; attempt++)); do
    # By a file: a command substitution would be one more bash for each job that waits for curl.
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

# Runs once per part in its own bash, below xargs; 255 makes xargs start no further part.
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

# What work_quickly has not sent.
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
