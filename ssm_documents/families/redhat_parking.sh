#!/bin/bash
# Owns parking on the RHEL-like family, whose crash kernel dumps from its initramfs: kdump runs the wait there, as kdump_pre,
# and dumps to what the wait has mounted.
# shellcheck disable=SC2317,SC2329 # called by name, through family(); not every document calls every function
# There from when the waiting initramfs is made until it is loaded; no boot has it.
REDHAT_UNLOADED=/run/hangdump-unloaded

redhat_parking_fault() {
  local lines
  lines="$(redhat_lines_in_the_way)"
  if [[ "$(architecture)" != x86_64 ]]; then
    echo "On $(architecture) no dump to a parked volume is proven"
  elif ! redhat_dumps_by_fstab; then
    echo "This host's kdump looks for its dump target only among the disks that are there (as in EL7, EL8 and Amazon Linux 2)"
  elif [[ " $(text_of /proc/cmdline) " == *" rd.earlykdump "* ]]; then
    echo "The next boot would load the crash kernel of its system initramfs (rd.earlykdump), which does not wait"
  elif [[ -n "$lines" ]]; then
    echo "$KDUMP_CONF has '$lines', of which the wait for the dump volume needs its own, or which takes dumps elsewhere"
  elif is_kexec_load_disabled && ! is_parked; then
    echo "kernel.kexec_load_disabled is 1, so no crash kernel that waits can be loaded before the next boot"
  elif [[ ! -e "$HOST_ROOT/proc/sys/kernel/sysrq" ]]; then
    echo "The kernel has no magic SysRq key (CONFIG_MAGIC_SYSRQ), by which a crash kernel reboots whose dump volume hangs"
  fi
}

# Neither for the target that is there nor for a parked volume.
redhat_lines_in_the_way() {
  { kdump_conf_foreign_lines "$(kdump_conf_wanted_target "$SSM_mountPoint")" && kdump_conf_foreign_lines "dracut_args" | grep -E '^[[:space:]]*(dracut_args|kdump_pre)' || true; } |
    sort -u | paste -s -d ';'
}

# In the crash kernel: it also takes the mount point of a target from the initramfs' fstab, before there is such a disk.
redhat_dumps_by_fstab() {
  cat "$HOST_ROOT"/usr/lib/dracut/modules.d/*kdumpbase/kdump.sh 2>/dev/null | grep -c get_mntpoint_from_target >/dev/null &&
    grep -qs 'findmnt -s' "$HOST_ROOT/lib/kdump/kdump-lib-initramfs.sh"
}

redhat_waiting_files() { echo "$WAIT_SCRIPT"; }

# kdump asks for a program.
redhat_write_waiting_files() {
  wait_script "$REDHAT_WAIT_POINT" \
    "mkdir -p $REDHAT_WAIT_POINT; mount -t $FILE_SYSTEM -o $RESTRICTIONS,nofail UUID=$UUID $REDHAT_WAIT_POINT" | write_if_changed "$WAIT_SCRIPT"
  chmod 0755 "$HOST_ROOT$WAIT_SCRIPT"
}

# Both are copied into the crash initramfs.
redhat_is_wait_stale() {
  [[ -e "$HOST_ROOT$REDHAT_UNLOADED" || "$HOST_ROOT$WAIT_SCRIPT" -nt "$HOST_ROOT$(redhat_crash_initrd)" ]] || redhat_is_initramfs_stale
}

# The initramfs is made before the former one is unloaded, which dumps to the attached volume. kdumpctl says that all is well
# when one is loaded that cannot be unloaded.
redhat_load_waiting_crash_kernel() {
  edit_kdump_conf "$(redhat_wanted_target "$SSM_mountPoint")" kdump_pre "$WAIT_LINE"
  # Not after a mount that would only time out.
  echo "# Written by Hangdump." | write_if_changed "$REDHAT_DROP_IN"
  systemctl daemon-reload
  if ! redhat_is_wait_stale && is_crash_kernel_loaded; then return 0; fi
  : >"$HOST_ROOT$REDHAT_UNLOADED"
  redhat_make_initramfs
  detached systemctl stop kdump.service || true
  # Of a unit that is not active systemd stops nothing.
  if is_crash_kernel_loaded; then detached kdumpctl stop || true; fi
  if is_crash_kernel_loaded; then
    fail "The crash kernel that is loaded does not wait for the dump volume, and kdump.service did not unload it. See: journalctl -u kdump.service; sysctl kernel.kexec_load_disabled. Reboot, then run ProvisionDumpVolume again."
  fi
  detached systemctl start kdump.service || true
  is_crash_kernel_loaded || fail "kdump.service did not load the crash kernel that waits for the dump volume. See: journalctl -u kdump.service. Then run ProvisionDumpVolume again."
  note_change "crash initramfs"
  # Before it counts as loaded: a run that is cut in between says it again.
  say_ready
  rm -f "$HOST_ROOT$REDHAT_UNLOADED"
}
