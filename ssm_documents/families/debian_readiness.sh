#!/bin/bash
# Owns what check_kdump asks about kdump-tools on Debian and Ubuntu.
# shellcheck disable=SC2317,SC2329 # called by name, through family(); not every document calls every function

# Findings that only this family can have. $1: mount point.
debian_find_faults() {
  local unit switch core wanted value release directory="$HOST_ROOT/var/lib/kdump"
  if ! debian_has_packages; then
    finding family-configuration-missing "not all of the packages $(debian_for_kdump echo) are installed" "run configure_kdump"
    return 0
  fi
  switch="$(debian_setting USE_KDUMP)" core="$(debian_setting KDUMP_COREDIR)" || true
  wanted="$(debian_core_directory "$1")"
  if [[ "$core" == "$1" && "$wanted" != "$1" ]]; then
    note_finding dump-removed-by-cron "$DEBIAN_CONFIGURATION has KDUMP_COREDIR=$1, where a job in /etc/cron.daily removes dumps (apport's after a week)" "run configure_kdump, which has dumps go to $wanted"
    wanted="$1"
  fi
  if [[ "$switch $core" != "1 $wanted" ]]; then
    finding family-configuration-missing "$DEBIAN_CONFIGURATION has USE_KDUMP=$switch KDUMP_COREDIR=$core" "run configure_kdump with mountPoint $1"
  elif [[ -n "$(debian_remote_target)" ]]; then
    finding family-configuration-missing "$DEBIAN_CONFIGURATION sends dumps to $(debian_remote_target), by NFS=, SSH= or FTP=" "remove that line from $DEBIAN_CONFIGURATION"
  elif [[ -n "$(debian_setting KDUMP_COMPRESSION)" ]]; then
    finding family-configuration-missing "$DEBIAN_CONFIGURATION has KDUMP_COMPRESSION=$(debian_setting KDUMP_COMPRESSION): no reader opens a dump that is compressed as a whole" "run configure_kdump, which empties it"
  elif [[ "$(debian_setting KDUMP_NUM_DUMPS)" =~ [1-9] ]]; then
    finding family-configuration-missing "$DEBIAN_CONFIGURATION has KDUMP_NUM_DUMPS=$(debian_setting KDUMP_NUM_DUMPS): more dumps are deleted, also those that nobody has collected" "run configure_kdump, which empties it"
  elif [[ " $(debian_crash_cmdline) " != *" systemd.unit="* ]]; then
    finding family-configuration-missing "$DEBIAN_CONFIGURATION has KDUMP_CMDLINE_APPEND without systemd.unit=kdump-tools-dump.service: the dump does not wait for the dump volume" "run configure_kdump"
  elif [[ "$(architecture)" == aarch64 ]] && debian_has_irqpoll; then
    finding family-configuration-missing "$DEBIAN_CONFIGURATION gives the crash kernel irqpoll, which on arm64 keeps it from its disks" "run configure_kdump"
  fi
  unit="$(mount_unit "$1")"
  if ! grep -qsxF "After=$unit" "$HOST_ROOT$DEBIAN_DROP_IN" || ! grep -qsxF "Wants=$unit" "$HOST_ROOT$DEBIAN_DROP_IN"; then
    finding drop-in-missing "$DEBIAN_DROP_IN does not order the dump after $unit: it could go to the root file system" "run configure_kdump"
  fi
  # No error as long as it costs nothing: hosts that were configured before the drop-in stay ready.
  value="$(awk '$1 ~ /^vm[.](nr_hugepages|nr_hugepages_mempolicy|min_free_kbytes)$/ && $2 > 0 { print $1 " in " $NF; exit }' "$WORK_DIR/assignments")"
  if [[ -n "$value" && ! -e "$HOST_ROOT$DEBIAN_SYSCTL_DROP_IN" ]]; then
    finding drop-in-missing "$DEBIAN_SYSCTL_DROP_IN does not keep sysctl.d from the crash kernel: $value would take its memory" "run configure_kdump"
  fi
  debian_find_pinned_kernel
  # kdump-config makes the initramfs anew when these two differ, and only then.
  release="$(kernel_release)"
  if [[ -f "$directory/latest_sysctls-$release" ]] && ! cmp -s "$HOST_ROOT/etc/kdump/sysctl.conf" "$directory/latest_sysctls-$release"; then
    stale_initramfs "$(debian_crash_initrd) was made before /etc/kdump/sysctl.conf was changed"
  fi
}

debian_dump_level() { debian_setting MAKEDUMP_ARGS | sed -n 's/.*-d  *\([0-9]*\).*/\1/p'; }

# KDUMP_INITRD is a link that kdump-config makes when it loads; without that setting it takes the one of ordinary boots.
debian_crash_initrd() {
  local path
  path="$(debian_setting KDUMP_INITRD)"
  path="${path:-/boot/initrd.img-$(kernel_release)}"
  if [[ -L "$HOST_ROOT$path" ]]; then path="$(readlink "$HOST_ROOT$path")"; fi
  if [[ -e "$HOST_ROOT$path" ]]; then echo "$path"; fi
}

# Ubuntu from 25.10 on makes initramfses with dracut.
debian_crash_initrd_modules() {
  local initrd list=lsinitramfs
  initrd="$(debian_crash_initrd)"
  command -v "$list" >/dev/null || list=lsinitrd
  [[ -n "$initrd" ]] || return 0
  { "$list" "$HOST_ROOT$initrd" 2>/dev/null || true; } | sed -n 's|.*/\([^/ ]*\)\.ko\(\.[a-z0-9]*\)\{0,1\}$|\1|p'
}

# A crash kernel of one release finds no modules in an initrd of another.
debian_find_pinned_kernel() {
  local kernel
  kernel="$(debian_setting KDUMP_KERNEL)"
  if [[ "$kernel" == *[0-9]* && "$kernel" != *"$(kernel_release)" ]]; then
    stale_initramfs "$DEBIAN_CONFIGURATION has KDUMP_KERNEL=$kernel, which is not the running kernel"
  fi
}

debian_pinned_kernel() {
  local key value remedy=""
  for key in KDUMP_KERNEL=/var/lib/kdump/vmlinuz KDUMP_INITRD=/var/lib/kdump/initrd.img; do
    value="$(debian_setting "${key%%=*}")"
    if [[ -n "$value" && "$value" != "${key#*=}" ]]; then remedy+="${remedy:+, and }write $key for ${key%%=*}=$value"; fi
  done
  if [[ -n "$remedy" ]]; then echo "$remedy in $DEBIAN_CONFIGURATION"; fi
}

# The package reboots; an ExecStart= of a drop-in replaces that, ours with poweroff.
debian_final_action() {
  local start
  [[ -f "$HOST_ROOT$DEBIAN_CONFIGURATION" ]] || return 0
  start="$(debian_starts | tail -n 1)"
  debian_action_of "${start:-reboot -f}"
}

debian_starts() { grep -hs '^ExecStart=' "$HOST_ROOT"/etc/systemd/system/kdump-tools-dump.service.d/*.conf | sed 's/^ExecStart=//' || true; }

# Drop-ins are read by name; ours comes before most of its owner's.
debian_own_final_action() {
  local file
  file="$({ grep -ls '^ExecStart=' "$HOST_ROOT"/etc/systemd/system/kdump-tools-dump.service.d/*.conf || true; } | tail -n 1)"
  if [[ -n "$file" && "$file" != "$HOST_ROOT$DEBIAN_DROP_IN" ]]; then echo "the lines ExecStart= from ${file#"$HOST_ROOT"}"; fi
}

# Without KDUMP_FAIL_CMD a dump that failed ends as one that was saved. Its words are run without a shell: of
# "echo failed; reboot -f" only echo runs, with the rest as its arguments, and nothing follows it.
debian_failure_action() {
  local command
  command="$(debian_setting KDUMP_FAIL_CMD)"
  if [[ -z "$command" ]]; then return 0; fi
  if [[ "$command" == *[\;\&\|\<\>\`\$\"\']* ]]; then echo nothing; else debian_action_of "$command"; fi
}

debian_failure_remedy() {
  echo "in $DEBIAN_CONFIGURATION write KDUMP_FAIL_CMD=\"reboot -f\" for KDUMP_FAIL_CMD=\"$(debian_setting KDUMP_FAIL_CMD)\", whose words kdump-tools runs without a shell"
}

# What the host ends with: of "…; /bin/bash; reboot -f" the shell, for which nobody is there.
debian_action_of() {
  local interactive='(^|[ ;/])((ba|da)?sh|sulogin)( *;| *$)'
  if [[ "$1" =~ $interactive ]]; then
    echo shell
    return
  fi
  case "$1" in
    *poweroff*) echo poweroff ;;
    *halt*) echo halt ;;
    *reboot* | */kdump-tools\ start*) echo reboot ;;
    *) echo "$1" ;;
  esac
}

# kdump-config adds -s where Secure Boot is on; kexec itself tries kexec_file_load first from 2.0.27 on.
debian_uses_kexec_file_load() {
  local arguments
  arguments=" $(debian_setting KDUMP_KEXEC_ARGS) "
  case "$arguments" in
    *" -c "* | *" --kexec-syscall "*) return 1 ;;
    *" -s "* | *" -a "* | *" --kexec-file-syscall "* | *" --kexec-syscall-auto "*) return 0 ;;
  esac
  debian_is_secure_boot || { kexec --help 2>&1 || true; } | sed -n '/--kexec-syscall-auto/,/^ --\|^ -[a-z],/p' | grep -q '(default)'
}

# efivars: four bytes of attributes, then the value.
debian_is_secure_boot() {
  local secure setup
  [[ "$(cat "$HOST_ROOT/sys/kernel/security/securelevel" 2>/dev/null)" != 1 ]] || return 0
  secure="$(od -An -tu1 -j4 -N1 "$HOST_ROOT"/sys/firmware/efi/efivars/SecureBoot-* 2>/dev/null || true)"
  setup="$(od -An -tu1 -j4 -N1 "$HOST_ROOT"/sys/firmware/efi/efivars/SetupMode-* 2>/dev/null || true)"
  [[ "${secure// /}" == 1 && "${setup// /}" == 0 ]]
}
