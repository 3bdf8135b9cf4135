#!/bin/bash
# Runs the analysis. Whatever reads the vmcore does so without privileges: a dump can be made to attack the program that opens
# it. Root only installs symbols by the name of a release.
ANALYST=hangdump-analysis
# The stacks of thousands of tasks and a log of 256 KiB stay far below.
LARGEST_ANALYSIS=$((64 * 1024 * 1024))

# The analyst may write to its home, which lies in the scratch directory, and to nothing else that is not open to everybody.
make_scratch() {
  local scratch="$1"
  id -u "$ANALYST" >/dev/null 2>&1 ||
    useradd --system --user-group --no-create-home --home-dir / --shell /bin/false "$ANALYST" ||
    fail AnalysisFailed "The user $ANALYST, which reads the vmcore, could not be added to this host. Add it yourself, without a password, and run again."
  install -d -o root -g "$ANALYST" -m 0750 "$scratch"
  install -d -o "$ANALYST" -g "$ANALYST" -m 0700 "$scratch/home"
}

# A process of the analyst that outlived an analysis could read the next vmcore.
end_analyst() {
  if command -v pkill >/dev/null; then pkill -KILL -u "$ANALYST" || true; fi
}

# as_analyst SECONDS ARGUMENT...: python -m analysis ARGUMENT... It gets neither the agent's stdout nor the lock, and none of
# the environment, which has the URLs.
as_analyst() {
  local left="$1"
  shift
  timeout --kill-after=30 "$left" setpriv --reuid="$(id -u "$ANALYST")" --regid="$(id -g "$ANALYST")" --clear-groups \
    --no-new-privs --bounding-set=-all --inh-caps=-all \
    env -i HOME="$scratch/home" PATH="$PATH" LC_ALL=C DEBUGINFOD_URLS="${DEBUGINFOD_URLS:-}" \
    PYTHONPATH="$scratch/analysis.zip" "$PYTHON" -m analysis "$@" 3>&- 9>&-
}

fail_late() {
  fail AnalysisFailed "The analysis did not end within $SSM_timeoutSeconds s: $1. Raise analysisTimeoutSeconds, or open the dump by hand: python -m analysis open."
}

# Leaves a minute to send the result. Sets LEFT.
take_time() {
  LEFT=$((SSM_timeoutSeconds - SECONDS - 60))
  ((LEFT > 0)) || fail_late "$1 took $SECONDS s"
}

# The output goes through a file that root opened: the analyst could make its own a link to any file.
analyze() {
  local scratch="$1"
  as_analyst "$LEFT" "$scratch/vmcore" >"$scratch/analysis.json" 2>"$WORK_DIR/words" </dev/null
}

install_symbols() {
  local scratch="$1" release
  release="$(as_analyst "$LEFT" release "$scratch/vmcore" 2>/dev/null </dev/null | head -c 200)" || true
  if [[ "$release" =~ ^[0-9][0-9A-Za-z.+~_-]{1,127}$ ]]; then
    PYTHONPATH="$scratch/analysis.zip" "$PYTHON" -m analysis install "$release" >&2 3>&- 9>&- </dev/null || true
  fi
}

# python -m analysis exits with 1 for known errors, and prints "<error>: <sentence>" last.
known_error() { grep -E '^(DebuginfoNotFound|SymbolsMismatched|VmcoreUnreadable): ' "$WORK_DIR/words" | tail -n 1 || true; }

run_analysis() {
  local scratch="$1" known code=0
  take_time "fetching the vmcore"
  cd "$scratch/home"
  analyze "$scratch" || code=$?
  if ((code == 1)) && [[ "$(known_error)" == DebuginfoNotFound:* ]]; then
    install_symbols "$scratch"
    take_time "installing symbols"
    code=0
    analyze "$scratch" || code=$?
  fi
  if ((code == 0)); then
    (($(stat -c %s "$scratch/analysis.json") <= LARGEST_ANALYSIS)) || fail AnalysisFailed "The analysis is larger than $LARGEST_ANALYSIS bytes: the dump may be made to be. Open it by hand, on a host that holds nothing else: python -m analysis open."
    return 0
  fi
  tail -n 40 "$WORK_DIR/words" >&2
  known="$(known_error)"
  [[ -z "$known" ]] || fail "${known%%:*}" "${known#*: }"
  ((code != 124 && code != 137)) || fail_late "reading it was given $LEFT s"
  fail AnalysisFailed "The analysis ended with exit code $code: $(tail -n 1 "$WORK_DIR/words" | head -c 500)"
}
