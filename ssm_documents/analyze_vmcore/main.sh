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

fail_late() {
  fail AnalysisFailed "The analysis did not end within $SSM_timeoutSeconds s: $1. Raise analysisTimeoutSeconds, or open the dump by hand: python -m analysis open."
}

# python -m analysis exits with 1 for known errors, and prints "<error>: <sentence>" last.
run_analysis() {
  # Leave a minute to send the result.
  local scratch="$1" known code=0 left=$((SSM_timeoutSeconds - SECONDS - 60))
  ((left > 0)) || fail_late "fetching the vmcore took $SECONDS s"
  cd "$scratch"
  PYTHONPATH="$scratch/analysis.zip" timeout --kill-after=30 "$left" "$PYTHON" -m analysis "$scratch/vmcore" \
    --install-debuginfo --json "$scratch/analysis.json" 2>"$WORK_DIR/words" || code=$?
  if ((code == 0)); then return 0; fi
  tail -n 40 "$WORK_DIR/words" >&2
  known="$(grep -E '^(DebuginfoNotFound|SymbolsMismatched|VmcoreUnreadable): ' "$WORK_DIR/words" | tail -n 1 || true)"
  [[ -z "$known" ]] || fail "${known%%:*}" "${known#*: }"
  ((code != 124 && code != 137)) || fail_late "reading it was given $left s"
  fail AnalysisFailed "The analysis ended with exit code $code: $(tail -n 1 "$WORK_DIR/words" | head -c 500)"
}

main() {
  local scratch started=$SECONDS
  start_report AnalysisFailed
  take_lock analysis 60
  scratch="$HOST_ROOT$SCRATCH"
  # A killed run leaves its vmcore. Only the holder of the lock may have one.
  rm -rf "$scratch"
  # The removal must not change the exit code: finish_report reads it.
  trap 'code=$?; rm -rf "$HOST_ROOT$SCRATCH"; set +e; (exit "$code"); finish_report' EXIT
  mkdir -m 700 "$scratch"
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
