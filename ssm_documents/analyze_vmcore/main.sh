#!/bin/bash
# Owns one analysis on this host; the vmcore, which is another machine's memory, is gone when it ends.
SCRATCH=/var/tmp/hangdump-analysis
# For what is read into memory, written, and unpacked beside the dump.
SPARE_BYTES=$((4 * 1024 * 1024 * 1024))

check_space() {
  local size="$1" free
  free="$(free_bytes /var/tmp)"
  if ((free < size + SPARE_BYTES)); then
    fail InsufficientDiskSpace "/var/tmp has $free bytes free; the vmcore has $size, and symbols take up to $SPARE_BYTES more. Give this host a larger disk."
  fi
}

fail_late() {
  fail AnalysisFailed "It did not end within $SSM_timeoutSeconds s: $1. Raise analysisTimeoutSeconds, or open the dump by hand: python -m analysis open."
}

# Of python -m analysis: 1 for what it knows, with "<error>: <sentence>" as its last words.
run_analysis() {
  # A minute is left for sending.
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
  fail AnalysisFailed "It ended with exit code $code: $(tail -n 1 "$WORK_DIR/words" | head -c 500)"
}

main() {
  local scratch started=$SECONDS
  start_report AnalysisFailed
  take_lock analysis 60
  scratch="$HOST_ROOT$SCRATCH"
  # A run that was killed left its vmcore. Whoever has the lock is the only one that may have one.
  rm -rf "$scratch"
  # finish_report reads the exit code, which the removal must not change.
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
