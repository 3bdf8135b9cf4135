#!/bin/bash
# The output of a document: one JSON object on stdout, everything else on stderr, and a named error after a failure.
HOST_ROOT="${HOST_ROOT:-}"
export LC_ALL=C PATH="$PATH:$HOST_ROOT/usr/local/sbin:$HOST_ROOT/usr/sbin:$HOST_ROOT/sbin"

log() { printf '%s\n' "$*" >&2; }

# Replaces everything but printable ASCII by "?", so that a report is always valid JSON.
json_string() {
  local text="$1"
  text="${text//$'\t'/ }"
  text="${text//$'\r'/}"
  text="${text//\\/\\\\}"
  text="${text//\"/\\\"}"
  text="${text//$'\n'/\\n}"
  text="${text//[^[:print:]]/?}"
  printf '"%s"' "$text"
}

# Converts lines on stdin to a JSON list of strings.
json_list() {
  local line separator=""
  printf '['
  while IFS= read -r line; do
    printf '%s' "$separator"
    json_string "$line"
    separator=","
  done
  printf ']'
}

# $1: the document's own error code.
start_report() {
  OWN_CODE="$1"
  exec 3>&1 1>&2
  umask 077
  WORK_DIR="$(mktemp -d "$HOST_ROOT/run/hangdump.XXXXXX" || mktemp -d)"
  umask 022
  trap finish_report EXIT
  check_parameters
}

# `fail` may run in a subshell, so both write the report to a file; the main shell prints it once.
succeed() { printf '%s' "$1" >"$WORK_DIR/report"; }

# fail [CODE] MESSAGE
fail() {
  (($# == 2)) || set -- "$OWN_CODE" "$1"
  log "$1: $2"
  [[ -s "$WORK_DIR/report" ]] || report_failure "$1" "$2"
  exit 1
}

# Whoever reads it must know where to look.
report_failure() {
  local left=""
  if [[ -s "$WORK_DIR/changes" ]]; then left=" Touched: $(sort -u "$WORK_DIR/changes" | paste -s -d ,)."; fi
  printf '{"error":"%s","message":%s}' "$1" "$(json_string "$2$left")" >"$WORK_DIR/report"
}

finish_report() {
  local exit_code=$?
  trap - EXIT
  if ((exit_code != 0 && exit_code != 194)) && [[ ! -s "$WORK_DIR/report" ]]; then
    report_failure "$OWN_CODE" "The script stopped with exit code $exit_code at a step that should not fail; stderr says which. It may be run again."
  fi
  # Exit code 194 makes the agent reboot and run the script again: only the second run reports.
  if ((exit_code != 194)); then cat "$WORK_DIR/report" >&3; fi
  rm -rf "$WORK_DIR"
  exit "$exit_code"
}

# The API checks the patterns, but an agent's run from elsewhere (a copied script, a lab) does not. URLs are secrets.
check_parameters() {
  local name variable value
  for name in "${!PARAMETER_PATTERNS[@]}"; do
    variable="SSM_$name"
    value="${!variable}"
    if ! is_allowed "$name" "$value"; then
      [[ "$name" != *Url ]] || value="(not shown)"
      fail InvalidParameter "$name is '${value:0:200}'; allowed is ${PARAMETER_PATTERNS[$name]}"
    fi
  done
}

# Whether the value $2 is valid for parameter $1.
is_allowed() { [[ "$2" =~ ${PARAMETER_PATTERNS[$1]} ]]; }

# Runs a program that may outlive the script: it must inherit neither 9 (the lock) nor 3 (the agent waits until stdout is
# closed), and gets no stdin.
detached() { "$@" </dev/null 3>&- 9>&-; }

# Only one document at a time changes this host; a run that lost its connection may still be at work.
take_lock() {
  mkdir -p "$HOST_ROOT/run/lock"
  exec 9>"$HOST_ROOT/run/lock/hangdump-$1.lock"
  flock -w "$2" 9 || fail "Another run of Hangdump's '$1' step is still at work after $2 s; wait and run again."
}
