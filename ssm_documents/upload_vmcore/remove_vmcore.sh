#!/bin/bash
# Removes one dump that is verified in S3, and nothing else.

check_unchanged() {
  local path="$HOST_ROOT$SSM_vmcorePath" size modified
  [[ -f "$path" ]] || fail VmcoreChanged "$SSM_vmcorePath is no longer there. Find the vmcore again."
  size="$(size_of "$path")"
  modified="$(modified_epoch_of "$path")"
  if [[ "$size" != "$SSM_sizeBytes" || "$modified" != "$SSM_modifiedEpoch" ]]; then
    fail VmcoreChanged "$SSM_vmcorePath has $size bytes of $modified, not $SSM_sizeBytes of $SSM_modifiedEpoch: it is another dump, or it was written to. Nothing was removed. Find the vmcore again."
  fi
}

# The files that kdump writes beside a dump. All other files in the directory belong to somebody and stay.
useless_files() {
  find "$1" -mindepth 1 -maxdepth 1 -type f \( -name 'dmesg.[0-9]*' -o -name dmesg -o -name dmesg.txt -o -name 'vmcore-dmesg*.txt' \
    -o -name kexec-dmesg.log -o -name README.txt -o -name makedumpfile-R.pl -o -name rearrange.sh \)
}

holds_another_dump() { [[ -n "$(find "$1" -mindepth 1 -maxdepth 1 -type f \( -name 'dump*' -o -name 'vmcore' -o -name 'vmcore.*' -o -name 'vmcore-incomplete*' \))" ]]; }

remove_vmcore() {
  local path="$HOST_ROOT$SSM_vmcorePath" directory file status=already-removed freed=0
  check_path_is_dump
  directory="$(dirname "$path")"
  if [[ -e "$path" ]]; then
    check_unchanged
    freed="$(size_of "$path")"
    rm -f "$path"
    status=removed
  fi
  if [[ -d "$directory" ]] && ! holds_another_dump "$directory"; then
    useless_files "$directory" >"$WORK_DIR/useless"
    while IFS= read -r file; do
      freed=$((freed + $(size_of "$file")))
      rm -f "$file"
    done <"$WORK_DIR/useless"
    rmdir "$directory" 2>/dev/null || log "note: ${directory#"$HOST_ROOT"} holds other files and stays"
  fi
  succeed "{\"status\":\"$status\",\"freedBytes\":$freed}"
}
