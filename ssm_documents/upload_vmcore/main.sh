#!/bin/bash
# Runs one of the three actions, one at a time on this host.

# A killed run leaves its list of presigned URLs. Only the holder of the lock may have such a list.
remove_lists_of_urls() {
  local list
  for list in "$HOST_ROOT"/run/hangdump.*/manifest; do
    if [[ -e "$list" ]]; then rm -rf "${list%/*}"; fi
  done
}

main() {
  start_report UploadFailed
  take_lock upload 60
  remove_lists_of_urls
  use_own_mount_point
  mount_parked "$SSM_mountPoint"
  wait_for_mount "$SSM_mountPoint"
  case "$SSM_action" in
    find) find_vmcore ;;
    upload) at_root_of_dump ro upload_batch ;;
    remove) at_root_of_dump rw remove_vmcore ;;
  esac
}

if [[ "${BASH_SOURCE[0]:-$0}" == "$0" ]]; then main; fi
