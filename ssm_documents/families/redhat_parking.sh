#!/bin/bash
# Owns parking on the RHEL-like family, whose crash kernel dumps from its initramfs: kdump runs the wait there, as kdump_pre,
# and dumps to what the wait has mounted.
# shellcheck disable=SC2317,SC2329 # called by name, through family(); not every document calls every function
REDHAT_WAIT_POINT=/kdumproot

redhat_parking_fault() {
  local hooks
  hooks="$(redhat_foreign_hooks)"
  if [[ "$(architecture)" != x86_64 ]]; then
    echo "On $(architecture) no dump to a parked volume is proven"
  elif ! redhat_dumps_by_fstab; then
    echo "This host's kdump looks for its dump target only among the disks that are there (as in EL7, EL8 and Amazon Linux 2)"
  elif [[ -n "$hooks" ]]; then
    echo "$KDUMP_CONF has '$hooks', and kdump takes one such line only, which the wait for the dump volume needs"
  elif [[ ! -e "$HOST_ROOT/proc/sys/kernel/sysrq" ]]; then
    echo "The kernel has no magic SysRq key (CONFIG_MAGIC_SYSRQ), by which a crash kernel reboots whose dump volume hangs"
  fi
}

# In the crash kernel: it also takes the mount point of a target from the initramfs' fstab, before there is such a disk.
redhat_dumps_by_fstab() {
  cat "$HOST_ROOT"/usr/lib/dracut/modules.d/*kdumpbase/kdump.sh 2>/dev/null | grep -c get_mntpoint_from_target >/dev/null &&
    grep -qs 'findmnt -s' "$HOST_ROOT/lib/kdump/kdump-lib-initramfs.sh"
}

redhat_foreign_hooks() {
  text_of "$KDUMP_CONF" | MARK="$KDUMP_CONF_MARK" OURS="$WAIT_LINE" awk '
    $0 == ENVIRON["MARK"] { ours = NR + 1 }
    ($1 == "dracut_args" && NR != ours) || ($1 == "kdump_pre" && $0 != ENVIRON["OURS"])' | paste -s -d ';'
}

redhat_waiting_files() { echo "$WAIT_SCRIPT"; }

# kdump asks for a program.
redhat_write_waiting_files() {
  wait_script "$REDHAT_WAIT_POINT" \
    "mkdir -p $REDHAT_WAIT_POINT; mount -t $FILE_SYSTEM -o $RESTRICTIONS,nofail UUID=$UUID $REDHAT_WAIT_POINT" | write_if_changed "$WAIT_SCRIPT"
  chmod 0755 "$HOST_ROOT$WAIT_SCRIPT"
}

# $1: file system. No disk has this label. With the volume's UUID dracut would make each initramfs that it builds while the
# volume is attached wait for that disk before anything else, and give up after three minutes.
redhat_parked_target() {
  echo "dracut_args --mount \"LABEL=hangdump-parked $REDHAT_WAIT_POINT $1 defaults,noauto\" --add-drivers \"nvme $1\" --install \"findmnt mountpoint mkdir sleep head cut grep sync\""
}

# What takes the place of a target while the volume is parked; otherwise the target. $1: mount point.
redhat_wanted_target() {
  local target
  target="$(kdump_conf_wanted_target "$1")"
  if [[ -n "$target" ]] && is_parked; then redhat_parked_target "${target%% *}"; else echo "$target"; fi
}

# Both are copied into the crash initramfs.
redhat_is_wait_stale() { redhat_is_initramfs_stale || [[ "$HOST_ROOT$WAIT_SCRIPT" -nt "$HOST_ROOT$(redhat_crash_initrd)" ]]; }

# The initramfs is made before it is loaded, as a panic meanwhile finds the former one, which dumps to the attached volume.
redhat_load_waiting_crash_kernel() {
  edit_kdump_conf "$(redhat_wanted_target "$SSM_mountPoint")" kdump_pre "$WAIT_LINE"
  # Not after a mount that would only time out.
  echo "# Written by Hangdump." | write_if_changed "$REDHAT_DROP_IN"
  systemctl daemon-reload
  if ! redhat_is_wait_stale && is_crash_kernel_loaded; then return 0; fi
  redhat_prepare_crash_kernel
  detached systemctl restart kdump.service || true
  is_crash_kernel_loaded || fail "kdump.service did not load the crash kernel that waits for the dump volume. See: journalctl -u kdump.service. Then run ProvisionDumpVolume again."
  note_change "crash initramfs"
  say_ready
}
