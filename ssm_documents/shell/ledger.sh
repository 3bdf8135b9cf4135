#!/bin/bash
# Records in the ledger what was there before each change, so that unconfigure_kdump can undo it.
LEDGER=/var/lib/hangdump/ledger

# record KIND NAME BEFORE AFTER, before the change. A value begins with "="; "-" is none, "?" is not known yet. The empty
# line keeps a record apart from one that a power failure cut short.
record() {
  mkdir -p "$HOST_ROOT/var/lib/hangdump"
  (umask 077 && printf '\n%s %s %s %s\n' "$@" >>"$HOST_ROOT$LEDGER")
  sync "$HOST_ROOT$LEDGER" 2>/dev/null || sync
}

# The content of the file $1 as a value.
content_of() { if [[ -e "$1" ]]; then echo "=$(base64 -w 0 "$1")"; else echo -; fi; }

# record_files before|after FILE...: of files that a tool edits, once before it and once after it.
record_files() {
  local file before="?" after="?"
  for file in "${@:2}"; do
    printf -v "$1" %s "$(content_of "$file")"
    record file "${file#"$HOST_ROOT"}" "$before" "$after"
  done
}

# Runs "$@", and records the packages that it brought.
record_packages() {
  local name
  family packages >"$WORK_DIR/packages"
  "$@"
  family packages | { grep -vxFf "$WORK_DIR/packages" || true; } | while read -r name; do record package "$name" - =; done
}
