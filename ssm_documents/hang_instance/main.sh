#!/bin/bash
# Hangs the twin of a drill, some seconds after it has said so.

main() {
  start_report HangRefused
  require_twin
  case "$SSM_hang" in
    cpus-spinning) hang_cpus_spinning ;;
    real-time) hang_real_time ;;
    file-system) hang_file_system ;;
    panic) hang_panic ;;
    *) fail InvalidParameter "hang is '$SSM_hang': give cpus-spinning, real-time, file-system or panic." ;;
  esac
  succeed "{\"status\":\"hanging\",\"way\":\"$SSM_hang\"}"
}

if [[ "${BASH_SOURCE[0]:-$0}" == "$0" ]]; then main; fi
