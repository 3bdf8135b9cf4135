#!/bin/bash
# One round of an upload: sends the parts in the manifest and hashes the next batch at the same time, so that neither the
# disk nor the network waits for the other.
MANIFEST_URL='https?://[A-Za-z0-9.:-]+/[A-Za-z0-9%&=._~/?+:-]+'
MANIFEST_PATTERN=$'^((dmesg|part)\t[0-9]{1,5}\t[0-9]{1,15}\t[1-9][0-9]{0,14}\t[A-Za-z0-9+/]{43}=|describe\t[1-9][0-9]{0,4}\t[0-9]{1,15}\t[1-9][0-9]{0,14}\t[1-9][0-9]{0,11})\t'"$MANIFEST_URL\$"

fetch_manifest() {
  local answer attempt
  [[ "$SSM_manifestUrl" != none ]] || fail InvalidParameter "manifestUrl is missing: an upload needs it."
  command -v curl >/dev/null || fail PackageUnavailable "This host has no curl, which the upload needs. Install it and run again."
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
    fail UploadFailed "The list of parts has invalid lines. Plan the upload again."
  fi
}

# The instance is back in service: its own work has priority on the processors, the disk and the network.
yield_to_service() {
  if command -v renice >/dev/null; then renice -n 10 -p $$ >/dev/null 2>&1 || true; fi
  if command -v ionice >/dev/null; then ionice -c 2 -n 7 -p $$ 2>/dev/null || true; fi
}

# Words without spaces, for every curl that sends: neither an array nor quotes can be exported.
curl_options() {
  local limit_bytes=$((SSM_limitMibs * 1024 * 1024 / SSM_parallelism))
  if ((limit_bytes)); then printf '%s ' --limit-rate "$limit_bytes"; fi
  printf '%s ' --silent --output /dev/null --write-out '%{http_code}' --connect-timeout 10 --speed-limit 1024 --speed-time 60 \
    --header Transfer-Encoding: --header Expect:
}

export_jobs() {
  CURL_OPTIONS="$(curl_options)"
  export WORK_DIR MAX_ATTEMPTS CURL_OPTIONS
  export -f send_numbered_part put_part put_once read_part describe_part digest_of base64_of_hex
}

upload_batch() {
  local started=$SECONDS describer="" is_sent=0 is_described=0
  check_path_is_dump
  fetch_manifest
  yield_to_service
  export_jobs
  grep '^part' "$WORK_DIR/manifest" >"$WORK_DIR/parts" || true
  grep '^describe' "$WORK_DIR/manifest" >"$WORK_DIR/describe" || true
  : >"$WORK_DIR/sent"
  : >"$WORK_DIR/described"
  # For an incomplete dump only the dmesg is sent.
  if [[ -s "$WORK_DIR/parts" || -s "$WORK_DIR/describe" ]]; then check_unchanged; fi
  send_dmesg
  if [[ -s "$WORK_DIR/parts" || -s "$WORK_DIR/describe" ]]; then work_quickly "$HOST_ROOT$SSM_vmcorePath"; fi
  if [[ -s "$WORK_DIR/describe" ]]; then
    describe_batch "$HOST_ROOT$SSM_vmcorePath" <"$WORK_DIR/describe" &
    describer=$!
  fi
  if send_parts_left; then is_sent=1; fi
  if [[ -z "$describer" ]] || wait "$describer"; then is_described=1; fi
  if ((!is_sent || !is_described)); then fail_upload; fi
  if [[ -s "$WORK_DIR/parts" || -s "$WORK_DIR/describe" ]]; then check_unchanged; fi
  succeed "{\"uploadedParts\":$(wc -l <"$WORK_DIR/parts"),\"uploadedBytes\":$(sent_bytes),\
\"describedParts\":$(wc -l <"$WORK_DIR/described"),\"seconds\":$((SECONDS - started))}"
}
