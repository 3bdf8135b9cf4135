#!/bin/bash
# Knows whether the dump volume is parked: deleted until a crash, after which it is attached to the waiting crash kernel.
# One line: mount point, UUID, file system, its bytes, its free bytes, seconds to wait, ID of the waiting files. Without this
# file the crash kernel does not wait.
PARKED=/etc/hangdump/parked
WAIT_SCRIPT=/etc/hangdump/wait.sh
# Of /etc/kdump.conf: kdump runs the script before it dumps.
WAIT_LINE="kdump_pre $WAIT_SCRIPT"

is_parked() { [[ -e "$HOST_ROOT$PARKED" ]]; }

# After a crash the volume may be attached, but its line of fstab says noauto. mount succeeds where there is no device.
mount_parked() { if is_parked && ! is_mounted "$1"; then mount "$1" 2>/dev/null || true; fi; }

# Sets PARKED_*; nothing in them if the volume is not parked.
read_parked() {
  # shellcheck disable=SC2034 # not every document asks for all of them
  read -r PARKED_POINT PARKED_UUID PARKED_FILE_SYSTEM PARKED_BYTES PARKED_FREE_BYTES PARKED_SECONDS PARKED_FILES_ID \
    < <(text_of "$PARKED") || true
}

# 16 digits of the SHA-256 of the files by which the crash kernel waits, as they are: an older version's are as good as those
# of this one.
waiting_files_id() {
  local file
  while read -r file; do text_of "$file"; done < <(family waiting_files) | sha256sum | cut -c 1-16
}
