#!/bin/bash
# Finds faults of a parked dump volume: what would keep the crash kernel from waiting for it, or from mounting it.

find_parking_faults() {
  local options fault=""
  options=",$(fstab_lines "$SSM_mountPoint" | awk '{ print $4; exit }'),"
  if [[ "$PARKED_POINT" != "$SSM_mountPoint" || ! "$PARKED_SECONDS" =~ ^[0-9]+$ ]]; then
    fault="$PARKED has no dump volume for $SSM_mountPoint"
  elif [[ "$(waiting_files_id)" != "$PARKED_FILES_ID" ]]; then
    fault="a file was changed or removed by which the crash kernel waits: $(family waiting_files | paste -s -d ' ')"
  elif [[ "$(fstab_lines "$SSM_mountPoint")" != "UUID=$PARKED_UUID "* || "$options" != *,noauto,* || "$options" != *,nofail,* ]]; then
    fault="the line of /etc/fstab for $SSM_mountPoint is not UUID=$PARKED_UUID with noauto and nofail"
  fi
  if [[ -n "$fault" ]] && ! has_finding fstab-entry-missing; then
    finding parking-broken "$fault" "run park_dump_volume; or attach the dump volume and run prepare_dump_volume"
  fi
}
