#!/bin/bash
# Runs one analysis on this host. The vmcore, another machine's memory, is removed at the end.
SCRATCH=/var/tmp/hangdump-analysis
# Space for symbols and other files beside the dump.
SPARE_BYTES=$((4 * 1024 * 1024 * 1024))

check_space() {
  local size="$1" free
  free="$(free_bytes /var/tmp)"
  if ((free < size + SPARE_BYTES)); then
    fail InsufficientDiskSpace "/var/tmp has $free bytes free; the vmcore has $size, and symbols take up to $SPARE_BYTES more. Give this host a larger disk."
  fi
}

main() {
  local scratch started=$SECONDS
  start_report AnalysisFailed
  take_lock analysis 60
  scratch="$HOST_ROOT$SCRATCH"
  # A killed run leaves its vmcore. Only the holder of the lock may have one.
  end_analyst
  rm -rf "$scratch"
  # The removal must not change the exit code: finish_report reads it.
  trap 'code=$?; end_analyst; rm -rf "$HOST_ROOT$SCRATCH"; set +e; (exit "$code"); finish_report' EXIT
  make_scratch "$scratch"
  fetch_manifest
  check_space "$(manifest_field vmcore 2)"
  fetch bundle "$scratch/analysis.zip"
  find_python "$scratch/analysis.zip"
  fetch vmcore "$scratch/vmcore"
  run_analysis "$scratch"
  send_result "$scratch/analysis.json"
  succeed "{\"status\":\"analysed\",\"analysisBytes\":$(stat -c %s "$scratch/analysis.json"),\"seconds\":$((SECONDS - started))}"
}

if [[ "${BASH_SOURCE[0]:-$0}" == "$0" ]]; then main; fi
