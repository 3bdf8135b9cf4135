#!/bin/bash
# Owns kdump on the RHEL-like family (RHEL, Rocky, Alma, CentOS, Fedora, Amazon Linux): kdump.conf, reservation, kdump.service.
# shellcheck disable=SC2317,SC2329 # called by name, through family(); not every document calls every function
REDHAT_SYSCONFIG=/etc/sysconfig/kdump
# Where the crash kernel mounts a parked dump volume.
REDHAT_WAIT_POINT=/kdumproot
REDHAT_DROP_IN=/etc/systemd/system/kdump.service.d/hangdump.conf

redhat_is_this_host() {
  command -v rpm >/dev/null && redhat_package_manager >/dev/null &&
    [[ " $(assignment /etc/os-release ID) $(assignment /etc/os-release ID_LIKE) " =~ \ (rhel|fedora|centos|amzn)\  ]]
}

redhat_kdump_service() { echo kdump.service; }
redhat_config_files() { printf '%s\n' /etc/kdump.conf /etc/sysconfig/kdump; }

# The crash initramfs is 20-40 MiB, twice for the moment of a rebuild; dracut unpacks in /var/tmp.
redhat_space_needed() { printf '%s\n' "64 /boot" "256 /var/tmp"; }

# kdumpctl is a script that refuses what it does not know: its text says which options and which commands it has.
redhat_knows_option() { grep -qsw -- "$1" "$(command -v kdumpctl)"; }
redhat_knows_command() { grep -qs "^[[:space:]]*$1)" "$(command -v kdumpctl)"; }

# EL9 and later; the wait is for another kdumpctl, which holds its lock as long as it builds an initramfs.
redhat_suggested_crashkernel() {
  if redhat_knows_command get-default-crashkernel; then
    { detached timeout 300 kdumpctl get-default-crashkernel kdump 2>/dev/null || true; } | tail -n 1
  fi
}

# x86_64: RHEL 8 and 9. Amazon Linux: AWS's 256M, above 64 GiB as RHEL. arm64: RHEL 9, and with pages of 64 KiB (EL7, EL8)
# RHEL 7's 512M.
redhat_crashkernel_table() {
  if [[ "$1" == aarch64 ]]; then
    if [[ "$(getconf PAGESIZE)" == 65536 ]]; then echo "1G-:512M"; else echo "1G-4G:256M,4G-64G:320M,64G-:576M"; fi
  elif [[ "$(assignment /etc/os-release ID)" == amzn ]]; then
    echo "0-64G:256M,64G-:512M"
  else
    echo "1G-4G:192M,4G-64G:256M,64G-:512M"
  fi
}

redhat_configured_crashkernels() {
  if grubby_is_used; then grubby_configured_crashkernels; else grub2_configured_crashkernels; fi
}

redhat_configure_reservation() {
  if grubby_is_used; then grubby_configure_reservation "$1"; else grub2_configure_reservation "$1"; fi
}

# $1: mount point, $2: core collector, $3: final action. path is relative to the target: "/" is the mount point itself, which
# exists on every file system.
# A dump that fails ends in a reboot. With dump_to_rootfs the crash kernel would mount the root volume, too, before it dumps
# anywhere: a root volume whose I/O is what hangs would then cost the dump that the dump volume could have taken, and a dump
# there may fill it. shell and halt never come back.
redhat_configure_dump() {
  local target options=()
  target="$(redhat_wanted_target "$1")"
  [[ -n "$target" ]] || fail "/etc/fstab has no line for $1, which kdump takes its dump target from. Run prepare_dump_volume first."
  if is_parked; then
    options+=(kdump_pre "$WAIT_LINE")
  elif ! is_mounted "$1"; then
    fail "Nothing is mounted at $1, and kdump refuses a dump target that is not mounted. Run prepare_dump_volume, then this again."
  fi
  options+=(path "path /" core_collector "core_collector $2")
  if redhat_knows_option failure_action; then
    options+=("failure_action|default" "failure_action reboot")
  else
    options+=(default "default reboot")
  fi
  if redhat_knows_option final_action; then
    options+=(final_action "final_action $3")
  elif [[ "$3" != reboot ]]; then
    fail InvalidParameter "finalAction is $3, but this host's kdump knows no final_action: it always reboots. Take reboot, or a newer kexec-tools."
  fi
  # Otherwise an update of the package or of the kernel puts its own crashkernel= in place of ours.
  if redhat_knows_option auto_reset_crashkernel; then options+=(auto_reset_crashkernel "auto_reset_crashkernel no"); fi
  edit_kdump_conf "$target" "${options[@]}"
  set_crash_arguments "$REDHAT_SYSCONFIG" KDUMP_COMMANDLINE_APPEND "$(assignment "$REDHAT_SYSCONFIG" KDUMP_COMMANDLINE_APPEND)"
  # At boot nothing waits for a mount with nofail, and kdump refuses a target that is not mounted: when a new kernel needs a new
  # initramfs the host would be left without its crash kernel.
  is_parked || order_after_mount "$REDHAT_DROP_IN" "$1"
  enable_service kdump.service
  redhat_reload_stale_crash_kernel
}

# What takes the place of a target while the volume is parked; otherwise the target. $1: mount point. No disk has this label. With
# the volume's UUID dracut would make each initramfs that it builds while the volume is attached wait for that disk before
# anything else, and give up after three minutes.
redhat_wanted_target() {
  local target type
  target="$(kdump_conf_wanted_target "$1")"
  type="${target%% *}"
  if [[ -n "$target" ]] && is_parked; then
    target="dracut_args --mount \"LABEL=hangdump-parked $REDHAT_WAIT_POINT $type defaults,noauto\" --add-drivers \"nvme $type\" --install \"findmnt mountpoint mkdir sleep head cut grep sync\""
  fi
  echo "$target"
}

# kdump.conf is copied into the crash initramfs: one that is loaded already dumps as it was told when it was made.
redhat_reload_stale_crash_kernel() {
  is_crash_kernel_loaded || return 0
  if redhat_is_initramfs_stale || changes | grep -qxF "$REDHAT_SYSCONFIG"; then
    log "making the crash initramfs anew"
    redhat_prepare_crash_kernel
    detached systemctl restart kdump.service || log "that failed; journalctl -u kdump.service says why"
    note_change "crash initramfs"
  fi
}

redhat_is_initramfs_stale() {
  local initrd
  initrd="$(redhat_crash_initrd)"
  [[ -z "$initrd" || "$HOST_ROOT$KDUMP_CONF" -nt "$HOST_ROOT$initrd" ]]
}

# Before the reboot rather than after it, and before the crash kernel is unloaded that was made of the former one: what kdump
# or dracut refuses is found out in time.
redhat_prepare_crash_kernel() { if redhat_is_initramfs_stale; then redhat_make_initramfs; fi; }

redhat_make_initramfs() {
  redhat_knows_command rebuild || return 0
  log "making the crash initramfs"
  detached kdumpctl rebuild >"$WORK_DIR/kdumpctl" 2>&1 ||
    fail "kdumpctl rebuild failed, so the crash kernel could not be loaded after a reboot either: $(tail -n 3 "$WORK_DIR/kdumpctl")"
}

# start waits for a start that is under way already; restart is for a unit that is active without its crash kernel.
redhat_load_crash_kernel() {
  detached systemctl start kdump.service || true
  is_crash_kernel_loaded || detached systemctl restart kdump.service
}
