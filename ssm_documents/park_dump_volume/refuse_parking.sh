#!/bin/bash
# Refuses what cannot be parked, before any change: a host on which no dump to a parked volume is proven, and a volume that
# holds a dump.

refuse_parking() {
  local fault
  fault="$(family parking_fault)"
  [[ -z "$fault" ]] || fail ParkingUnsupported "$fault. Nothing was changed; the dump volume stays attached."
  is_crash_kernel_loaded || fail "No crash kernel is loaded, so nothing would wait for the dump volume. Run configure_kdump, then this again. Nothing was changed."
}

refuse_files() {
  files_on "$SSM_mountPoint" >"$WORK_DIR/files" || fail "The dump volume at $SSM_mountPoint cannot be read, so nobody knows whether it holds a dump. Nothing was changed. See dmesg, and run again."
  [[ ! -s "$WORK_DIR/files" ]] || fail DumpVolumeHoldsDump "The dump volume at $SSM_mountPoint holds $(wc -l <"$WORK_DIR/files") files, such as $(head -n 1 "$WORK_DIR/files"). Nothing was changed."
}
