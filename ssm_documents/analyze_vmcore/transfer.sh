#!/bin/bash
# Fetches objects from the bucket and sends the result. URLs are secrets: curl reads them from a file descriptor, so they
# are in no argument list and no output.
MANIFEST_PATTERN=$'^(bundle|vmcore|result)\t[0-9]{1,15}\thttps?://[A-Za-z0-9.:-]+/[A-Za-z0-9%&=._~/?+:-]+$'

# $1: the object's name for messages; $2: the URL; the rest: curl's options. An interrupted download continues.
transfer() {
  local what="$1" url="$2" answer attempt
  shift 2
  for ((attempt = 1; attempt <= 4; attempt++)); do
    answer="$(curl --silent --show-error --write-out '%{http_code}' --connect-timeout 10 --speed-limit 1024 --speed-time 60 \
      "$@" --config <(printf 'url = "%s"\n' "$url") 2>"$WORK_DIR/curl" || true)"
    case "${answer: -3}" in
      2??) return 0 ;;
      403) fail AnalysisFailed "$what was refused: HTTP 403. Its URL may have expired; start AnalyzeVmcore again." ;;
    esac
    sleep $((attempt * 2))
  done
  fail AnalysisFailed "$what was not transferred: HTTP ${answer: -3} (000 means no connection) $(head -c 200 "$WORK_DIR/curl"). Can this host reach the S3 endpoint of its Region?"
}

fetch_manifest() {
  [[ "$SSM_manifestUrl" != none ]] || fail InvalidParameter "manifestUrl is missing."
  command -v curl >/dev/null || fail PackageUnavailable "This host has no curl, which the analysis needs. Install it and run again."
  transfer "The manifest" "$SSM_manifestUrl" --output "$WORK_DIR/manifest"
  if [[ "$(grep -Evc "$MANIFEST_PATTERN" "$WORK_DIR/manifest")" != 0 || "$(wc -l <"$WORK_DIR/manifest")" != 3 ]]; then
    fail AnalysisFailed "The manifest has invalid lines. Start AnalyzeVmcore again."
  fi
}

# $1: kind, $2: 2 for its size, 3 for its URL.
manifest_field() { awk -F '\t' -v kind="$1" -v field="$2" '$1 == kind { print $field }' "$WORK_DIR/manifest"; }

fetch() {
  local kind="$1" file="$2" size
  size="$(manifest_field "$kind" 2)"
  transfer "The $kind" "$(manifest_field "$kind" 3)" --output "$file" --continue-at -
  if [[ "$(stat -c %s "$file")" != "$size" ]]; then
    fail AnalysisFailed "The $kind has $(stat -c %s "$file") bytes instead of $size. Start AnalyzeVmcore again."
  fi
}

send_result() { transfer "analysis.json" "$(manifest_field result 3)" --output /dev/null --upload-file "$1"; }
