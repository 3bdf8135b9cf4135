#!/bin/bash
# Owns kdump on SLES and openSUSE: zypper, /etc/sysconfig/kdump. Its crash kernel boots an initrd of its own, which is built
# for the file system that is mounted at KDUMP_SAVEDIR at that moment, and mounts that or dumps nothing.
# shellcheck disable=SC2317,SC2329 # called by name, through family(); not every document calls every function
SUSE_CONFIGURATION=/etc/sysconfig/kdump
SUSE_DROP_IN=/etc/systemd/system/kdump.service.d/hangdump.conf
# The initrd holds the host's sysctl.d, so a script resets the triggers. kdump itself can only reboot; its post-script runs
# before that, and a reboot follows if it fails.
SUSE_PRESCRIPT=/etc/hangdump/kdump-prescript.sh
SUSE_POSTSCRIPT=/etc/hangdump/kdump-postscript.sh
SUSE_POWEROFF="umount -a; poweroff -f"

suse_is_this_host() { command -v zypper >/dev/null && grep -Eqsi '^ID(_LIKE)?=.*(suse|sles)' "$HOST_ROOT/etc/os-release"; }

# Its crash kernel mounts its target in its initrd.
suse_parking_fault() { echo "On the family suse no dump to a parked volume is proven"; }

suse_kdump_service() { echo kdump.service; }
suse_config_files() { echo /etc/sysconfig/kdump; }

# The crash kernel's initrd lands in /var/lib/kdump, before kdump 2 in /boot.
suse_space_needed() { printf '%s\n' "64 /boot" "96 /var/lib/kdump"; }

# The names of all packages that are installed.
suse_packages() { rpm -qa --qf '%{NAME}\n'; }

# rpm removes nothing that another package needs; zypper would remove that package too.
suse_remove_packages() { detached rpm -e "$@"; }

suse_is_installed() { rpm -q --quiet "$1" 2>/dev/null; }

# zypper waits for its lock; 102, 103, 106 and 107 say "done, but" (reboot, restart, a repository left out, a script failed),
# so what counts is whether the package is there.
suse_install() {
  local attempt
  for ((attempt = 0; attempt < 5; attempt++)); do
    ZYPP_LOCK_TIMEOUT=300 detached zypper --non-interactive --no-color install --no-recommends "$1" >"$WORK_DIR/zypper" 2>&1 || true
    if suse_is_installed "$1"; then return 0; fi
    # Its own time-out ended, or the lists are old.
    if ! grep -q 'System management is locked' "$WORK_DIR/zypper"; then
      if ((attempt > 0)); then break; fi
      detached zypper --non-interactive refresh || true
    fi
  done
  package_unavailable "$1" "$WORK_DIR/zypper"
}

suse_install_tool() {
  case "$1" in
    mkfs.xfs) suse_install xfsprogs ;;
    mkfs.ext4) suse_install e2fsprogs ;;
    *) suse_install util-linux ;;
  esac
}

suse_install_kdump() {
  if suse_is_installed kdump && suse_is_installed makedumpfile; then return 0; fi
  suse_install kdump
  note_change "package kdump"
}

# $1: name that `kdumptool calibrate` prints before a size in MiB.
suse_calibrated() { sed -n "s/^$1: *\([0-9][0-9]*\).*/\1/p" "$WORK_DIR/calibrate"; }

suse_calibrate() { kdumptool calibrate >"$WORK_DIR/calibrate" 2>/dev/null || : >"$WORK_DIR/calibrate"; }

# As kdumptool itself does it: without High (not x86) the one size is Low.
suse_suggested_crashkernel() {
  local low high
  suse_calibrate
  low="$(suse_calibrated Low)" high="$(suse_calibrated High)"
  if ((${high:-0} > 0)); then
    echo "${high}M,high$( ((${low:-0} == 0)) || echo " ${low}M,low")"
  elif ((${low:-0} > 0)); then
    echo "${low}M"
  fi
}

suse_estimated_mib() {
  local size
  suse_calibrate
  for size in "$(suse_calibrated High)" "$(suse_calibrated Low)"; do
    if ((${size:-0} > 0)); then
      echo "$size"
      return 0
    fi
  done
}

# SUSE has no table but kdumptool: up to 2 GiB its own default (192M), above what holds in LISA's fleet of test machines.
suse_crashkernel_table() { echo "0-2G:192M,2G-4G:320M,4G-1T:512M,1T-4T:1G,4T-8T:2G,8T-:4G"; }

# kdump-commandline.service (kdump 2) sets the boot loader to KDUMP_CRASHKERNEL at every boot; "auto" may undo our size.
suse_pin_crashkernel() {
  local arguments
  if keeps_reservation; then arguments="$(pbl_crashkernel_arguments)"; else arguments="$(crashkernel_arguments "$CRASHKERNEL")"; fi
  if [[ -n "$arguments" ]] && grep -qs '^KDUMP_CRASHKERNEL=' "$HOST_ROOT$SUSE_CONFIGURATION"; then
    set_assignments "$SUSE_CONFIGURATION" KDUMP_CRASHKERNEL "\"$arguments\""
  fi
}

# Findings of check_kdump that only this family can have. $1: mount point.
suse_find_faults() {
  local unit wrong="" key value initrd
  if ! suse_is_installed kdump || ! suse_is_installed makedumpfile; then
    finding family-configuration-missing "the packages kdump and makedumpfile are not both installed" "run configure_kdump"
    return 0
  fi
  while read -r key value; do
    if [[ "$(suse_setting "$key")" != "${value#-}" ]]; then wrong+=" $key=$(suse_setting "$key")"; fi
  done <<<"KDUMP_SAVEDIR file://$1
KDUMP_KEEP_OLD_DUMPS 0
KDUMP_FREE_DISK_SIZE 0
KDUMP_TRANSFER -"
  if [[ -n "$wrong" || "$(suse_setting KDUMP_DUMPFORMAT)" == none ]]; then
    finding family-configuration-missing "$SUSE_CONFIGURATION has$wrong KDUMP_DUMPFORMAT=$(suse_setting KDUMP_DUMPFORMAT)" "run configure_kdump with mountPoint $1"
    return 0
  fi
  unit="$(mount_unit "$1")"
  if ! grep -qsxF "After=$unit" "$HOST_ROOT$SUSE_DROP_IN" || ! grep -qsxF "Wants=$unit" "$HOST_ROOT$SUSE_DROP_IN"; then
    finding drop-in-missing "$SUSE_DROP_IN does not order kdump.service after $unit: its initrd could be built for the root file system" "run configure_kdump"
  fi
  initrd="$(suse_crash_initrd)"
  if [[ -n "$initrd" && "$HOST_ROOT$SUSE_CONFIGURATION" -nt "$HOST_ROOT$initrd" ]]; then
    stale_initramfs "$initrd is older than $SUSE_CONFIGURATION"
  elif suse_mounts_another "$1"; then
    stale_initramfs "the crash kernel's initrd mounts another file system than the one of $1"
  fi
}
