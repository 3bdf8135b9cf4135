#!/bin/bash
# Refuses what cannot be parked, before any change: a host on which no dump to a parked volume is proven, and a volume that
# holds a dump.

refuse_parking() {
  local fault
  fault="$(family parking_fault)"
  [[ -z "$fault" ]] || fail ParkingUnsupported "$fault. Nothing was changed; the dump volume stays attached."
  is_crash_kernel_loaded || fail "No crash kernel is loaded, so nothing would wait for the dump volume. Run configure_kdump, then this again. Nothing was changed."
}

# Their crash kernel mounts its target in its initramfs. A waiting one was loaded on a guest, but did not dump.
redhat_parking_fault() { echo "On the family redhat no dump to a parked volume is proven"; }
suse_parking_fault() { echo "On the family suse no dump to a parked volume is proven"; }

# The wait is a unit of the host's own root, which this crash kernel boots.
debian_parking_fault() {
  local unit
  unit="$(mount_unit "$SSM_mountPoint")"
  if [[ "$(architecture)" != x86_64 ]]; then
    echo "On $(architecture) no dump to a parked volume is proven"
  elif command -v dracut >/dev/null; then
    echo "This host makes its initramfs with dracut, with which no dump to a parked volume is proven"
  elif [[ -n "$(debian_remote_target)" ]]; then
    echo "$DEBIAN_CONFIGURATION sends dumps to $(debian_remote_target), not to the dump volume"
  elif [[ " $(debian_crash_cmdline) " != *" systemd.unit=kdump-tools-dump.service "* ]]; then
    echo "$DEBIAN_CONFIGURATION has KDUMP_CMDLINE_APPEND without systemd.unit=kdump-tools-dump.service, the unit that waits for the dump volume; configure_kdump adds it"
  elif ! grep -qsxF "After=$unit" "$HOST_ROOT$DEBIAN_DROP_IN"; then
    echo "$DEBIAN_DROP_IN does not order the dump after $unit; configure_kdump writes it"
  elif [[ ! -e "$HOST_ROOT/proc/sys/kernel/sysrq" ]]; then
    echo "The kernel has no magic SysRq key (CONFIG_MAGIC_SYSRQ), by which a crash kernel reboots whose dump volume hangs"
  fi
}

refuse_files() {
  files_on "$SSM_mountPoint" >"$WORK_DIR/files" || fail "The dump volume at $SSM_mountPoint cannot be read, so nobody knows whether it holds a dump. Nothing was changed. See dmesg, and run again."
  [[ ! -s "$WORK_DIR/files" ]] || fail DumpVolumeHoldsDump "The dump volume at $SSM_mountPoint holds $(wc -l <"$WORK_DIR/files") files, such as $(head -n 1 "$WORK_DIR/files"). Nothing was changed."
}
