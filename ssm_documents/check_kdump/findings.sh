#!/bin/bash
# Collects the findings. One cause gives one finding: its consequences are left out.
# findings.yaml says what each code means; docs/readiness.md is made of it.

# finding CODE OBSERVED REMEDY: the host could not dump, or the dump would be lost.
finding() { add_finding error "$@"; }

# note_finding CODE OBSERVED REMEDY: a note; the host can dump.
note_finding() { add_finding note "$@"; }

add_finding() {
  log "$1 $2: $3"
  printf '%s{"code":"%s","severity":"%s","observed":%s,"remedy":%s}' "$([[ ! -s "$WORK_DIR/findings" ]] || echo ,)" \
    "$2" "$1" "$(json_string "$3")" "$(json_string "$4")" >>"$WORK_DIR/findings"
  printf '%s %s\n' "$1" "$2" >>"$WORK_DIR/found"
}

# Whether one of these codes was found already.
has_finding() {
  local code
  for code in "$@"; do
    if grep -qsx "[a-z]* $code" "$WORK_DIR/found"; then return 0; fi
  done
  return 1
}

findings() { cat "$WORK_DIR/findings" 2>/dev/null || true; }
is_ready() { ! grep -qs '^error ' "$WORK_DIR/found"; }
