#!/bin/bash
# The size of a dump before there is a dump volume: measured, or estimated on a host that reserves no memory yet.

main() {
  local method=makedumpfile
  start_report ConfigurationFailed
  measure_dump "$SSM_dumpLevel"
  if [[ "$IS_MEASURED" != yes ]]; then
    method=meminfo
    EXPECTED_BYTES="$(estimated_bytes "$SSM_dumpLevel")"
  fi
  succeed "{\"expectedDumpBytes\":$EXPECTED_BYTES,\"method\":\"$method\"}"
}

if [[ "${BASH_SOURCE[0]:-$0}" == "$0" ]]; then main; fi
