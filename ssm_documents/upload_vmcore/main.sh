#!/bin/bash
# Owns which of the three actions runs; one at a time on this host.

main() {
  start_report UploadFailed
  take_lock upload 60
  use_own_mount_point
  wait_for_mount "$SSM_mountPoint"
  case "$SSM_action" in
    find) find_vmcore ;;
    upload) at_root_of_dump ro upload_batch ;;
    remove) at_root_of_dump rw remove_vmcore ;;
  esac
}

if [[ "${BASH_SOURCE[0]:-$0}" == "$0" ]]; then main; fi
