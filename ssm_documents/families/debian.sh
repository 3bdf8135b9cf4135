#!/bin/bash
# Owns kdump on Debian and Ubuntu: apt, /etc/default/kdump-tools, the unit that dumps.
# shellcheck disable=SC2317,SC2329 # called by name, through family(); not every document calls every function
DEBIAN_CONFIGURATION=/etc/default/kdump-tools
DEBIAN_DROP_IN=/etc/systemd/system/kdump-tools-dump.service.d/hangdump.conf

debian_is_this_host() { [[ -f "$HOST_ROOT/etc/debian_version" ]] && command -v apt-get >/dev/null; }

debian_kdump_service() { echo kdump-tools.service; }

# The kdump initrd lands in /var/lib/kdump; /boot takes a new grub.cfg only. MiB needed, then the path.
debian_space_needed() { printf '%s\n' "16 /boot" "256 /var/lib/kdump"; }

# apt locks with fcntl, which flock(1) cannot wait for: try again while another one holds them, five minutes at most.
# The output goes to a file: a service that a package starts may keep a pipe open for ever.
debian_apt_get() {
  local attempt
  for ((attempt = 0; attempt < 60; attempt++)); do
    if DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 UCF_FORCE_CONFFOLD=1 apt-get -q -y -o DPkg::Lock::Timeout=60 \
      -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" \
      </dev/null >"$WORK_DIR/apt" 2>&1 3>&- 9>&-; then
      return 0
    fi
    if grep -qi 'dpkg was interrupted' "$WORK_DIR/apt"; then
      DEBIAN_FRONTEND=noninteractive dpkg --configure -a </dev/null >&2 3>&- 9>&- || return 1
    elif ! grep -Eqi 'could not get lock|unable to (lock|acquire)' "$WORK_DIR/apt"; then
      cat "$WORK_DIR/apt" >&2
      return 1
    fi
    sleep 5
  done
  return 1
}

# The lists may be old (a package version that is gone) or not there yet: only then is an update worth its minute.
debian_install() {
  if debian_apt_get install "$@"; then return 0; fi
  if debian_apt_get update && debian_apt_get install "$@"; then return 0; fi
  fail PackageUnavailable "apt-get could not install $*: $(tail -n 4 "$WORK_DIR/apt"). Give the instance a repository that has it, or install it in its image, and run again."
}

debian_install_tool() {
  case "$1" in
    mkfs.xfs) debian_install xfsprogs ;;
    mkfs.ext4) debian_install e2fsprogs ;;
    *) debian_install fdisk ;;
  esac
}

debian_is_installed() { [[ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" == "install ok installed" ]]; }

debian_install_kdump() {
  local packages=(kdump-tools makedumpfile)
  if debian_is_installed kdump-tools && debian_is_installed makedumpfile; then return 0; fi
  # kexec-tools must not take part in ordinary reboots.
  printf '%s\n' "kdump-tools kdump-tools/use_kdump boolean true" "kexec-tools kexec-tools/load_kexec boolean false" | debconf-set-selections
  # Ubuntu's own name for the set; Debian has none of it.
  if [[ -n "$(apt-cache search --names-only '^linux-crashdump$' 2>/dev/null)" ]]; then packages=(linux-crashdump "${packages[@]}"); fi
  debian_install "${packages[@]}"
  note_change "package kdump-tools"
}

# kdump-tools has no opinion on the size that is worth having: its own default (128M-192M for any size) is too small.
debian_suggested_crashkernel() { :; }
debian_estimated_mib() { :; }

# Up to 2 GiB: RHEL 9's 192M, which dumps a 1 GiB Debian guest (128M does too, slower). Up to 4 GiB: Ubuntu's 320M (since
# 24.10). Above: the sizes that hold in LISA's fleet of test machines.
debian_crashkernel_table() { echo "0-2G:192M,2G-4G:320M,4G-1T:512M,1T-4T:1G,4T-8T:2G,8T-:4G"; }

debian_configured_crashkernels() { grub_configured_crashkernels; }
debian_configure_reservation() { grub_configure_reservation "$1"; }

# kdump-tools wants only makedumpfile's arguments, and adds -F itself. $1: mount point, $2: core collector, $3: final action.
debian_configure_dump() {
  local remote
  remote="$(grep -E '^[[:space:]]*(NFS|SSH|FTP)=.' "$HOST_ROOT$DEBIAN_CONFIGURATION" || true)"
  [[ -z "$remote" ]] || fail ConfigurationFailed "$DEBIAN_CONFIGURATION sends dumps elsewhere (${remote//$'\n'/ }). Remove that setting and run again."
  set_assignments "$DEBIAN_CONFIGURATION" USE_KDUMP 1 KDUMP_COREDIR "\"$1\"" MAKEDUMP_ARGS "\"${2#makedumpfile }\""
  debian_drop_in "$(mount_unit "$1")" "$3" >"$WORK_DIR/drop-in"
  write_if_changed "$DEBIAN_DROP_IN" <"$WORK_DIR/drop-in"
  systemctl daemon-reload
  if ! is_service_enabled kdump-tools.service; then
    systemctl enable kdump-tools.service 3>&- 9>&-
    note_change "kdump-tools.service enabled"
  fi
}

# Wants and After, never RequiresMountsFor: without its volume the crash kernel must still dump (to the root file system)
# and reboot. The unit is started in ordinary boots as well (by the package's postinst), hence the questions for /proc/vmcore.
debian_drop_in() {
  cat <<UNIT
# Written by Hangdump.
[Unit]
Wants=$1
After=$1

[Service]
# In the crash kernel only, which reads the same sysctl.d: a second NMI must not end the dump, a panic must not hang.
ExecStartPre=-/bin/sh -c 'test ! -s /proc/vmcore || { echo 0 >/proc/sys/kernel/unknown_nmi_panic; echo 10 >/proc/sys/kernel/panic; }'
UNIT
  # kdump-tools itself can only reboot.
  if [[ "$2" == poweroff ]]; then
    cat <<'UNIT'
ExecStart=
ExecStart=/bin/sh -c 'test -s /proc/vmcore || exec /etc/init.d/kdump-tools start; /usr/sbin/kdump-config savecore || test -z "$$KDUMP_FAIL_CMD" || exec $$KDUMP_FAIL_CMD; exec poweroff -f'
UNIT
  fi
}

# The initrd for the crash kernel takes a minute; made now, the next boot does not wait for it (kdump-tools.service would
# make it, before basic.target). Without the copy of the sysctls kdump-config would make it again.
debian_prepare_crash_kernel() {
  local release directory="$HOST_ROOT/var/lib/kdump" hook="$HOST_ROOT/etc/kernel/postinst.d/kdump-tools"
  release="$(kernel_release)"
  if [[ -e "$directory/initrd.img-$release" || ! -x "$hook" ]]; then return 0; fi
  log "making the crash kernel's initrd"
  if "$hook" "$release" </dev/null 3>&- 9>&-; then
    cp "$HOST_ROOT/etc/kdump/sysctl.conf" "$directory/latest_sysctls-$release" 2>/dev/null || true
  else
    log "that failed; kdump-tools.service tries again at the next boot"
  fi
}

debian_load_crash_kernel() { systemctl restart kdump-tools.service 3>&- 9>&-; }

# Findings of check_kdump that only this family can have. $1: mount point.
debian_find_faults() {
  local unit value
  if ! debian_is_installed kdump-tools || ! debian_is_installed makedumpfile; then
    finding family-configuration-missing "the packages kdump-tools and makedumpfile are not both installed" "run configure_kdump"
    return 0
  fi
  value="USE_KDUMP=$(assignment "$DEBIAN_CONFIGURATION" USE_KDUMP) KDUMP_COREDIR=$(assignment "$DEBIAN_CONFIGURATION" KDUMP_COREDIR)"
  if [[ "$value" != "USE_KDUMP=1 KDUMP_COREDIR=$1" ]]; then
    finding family-configuration-missing "$DEBIAN_CONFIGURATION has $value" "run configure_kdump with mountPoint $1"
  fi
  unit="$(mount_unit "$1")"
  if ! grep -qsxF "After=$unit" "$HOST_ROOT$DEBIAN_DROP_IN" || ! grep -qsxF "Wants=$unit" "$HOST_ROOT$DEBIAN_DROP_IN"; then
    finding drop-in-missing "$DEBIAN_DROP_IN does not order the dump after $unit: it could go to the root file system" "run configure_kdump"
  fi
}

debian_dump_level() { assignment "$DEBIAN_CONFIGURATION" MAKEDUMP_ARGS | sed -n 's/.*-d  *\([0-9]*\).*/\1/p'; }
