#!/bin/bash
# Owns kdump on Debian and Ubuntu: the reservation, /etc/default/kdump-tools, the unit that dumps.
# shellcheck disable=SC2317,SC2329 # called by name, through family(); not every document calls every function
DEBIAN_CONFIGURATION=/etc/default/kdump-tools
DEBIAN_DROP_IN=/etc/systemd/system/kdump-tools-dump.service.d/hangdump.conf
DEBIAN_SYSCTL_DROP_IN=/etc/systemd/system/systemd-sysctl.service.d/hangdump.conf

debian_is_this_host() { [[ -f "$HOST_ROOT/etc/debian_version" ]] && command -v apt-get >/dev/null; }

debian_setting() { assignment "$DEBIAN_CONFIGURATION" "$1"; }

debian_kdump_service() { echo kdump-tools.service; }
debian_config_files() { echo /etc/default/kdump-tools; }

# The kdump initrd lands in /var/lib/kdump; /boot takes a new grub.cfg only. MiB needed, then the path.
debian_space_needed() { printf '%s\n' "16 /boot" "256 /var/lib/kdump"; }

# From 1.10 on kdump-config estimates, after a boot with kdump: "crashkernel suggested size: 215M", or "Unknown (reason)".
debian_estimated_mib() {
  { kdump-config show 2>/dev/null || true; } | sed -n 's/^crashkernel suggested size: *\([0-9][0-9]*\)M$/\1/p'
}

# The same sum before the first boot with kdump, which saves a second reboot. One summand is not known until then: the memory
# used early in boot, here 80 MiB (inferred, not measured). On arm64 the kernel counts four times, not six: this is more.
# Versions that do not estimate keep no size of the unpacked initrd.
debian_estimate_before_kdump() {
  local kernel initrd unpacked
  debian_prepare_crash_kernel >&2
  kernel="$HOST_ROOT/boot/vmlinuz-$(kernel_release)" initrd="initrd.img-$(kernel_release)"
  unpacked="$(text_of "/var/lib/kdump/size_$initrd")"
  if [[ -z "$unpacked" || ! -f "$kernel" ]]; then return 0; fi
  echo $(((6 * $(stat -L -c %s "$kernel") + $(stat -c %s "$HOST_ROOT/var/lib/kdump/$initrd") >> 20) + unpacked + 80))
}

# Only where it estimates more than the table has: it aims at the least that boots. The default of the package (128M-192M
# for any size) is too small. Steps of 64M, as every boot estimates a little differently.
debian_suggested_crashkernel() {
  local estimated table
  estimated="$(debian_estimated_mib)"
  if [[ -z "$estimated" ]]; then estimated="$(debian_estimate_before_kdump)"; fi
  table="$(bytes_wanted_by "$(debian_crashkernel_table)")"
  if [[ -n "$estimated" ]] && ((estimated << 20 > table)); then echo "$(((estimated + 63) / 64 * 64))M"; fi
}

# Up to 2 GiB: RHEL 9's 192M, which dumps a 1 GiB Debian guest (128M does too, slower). Up to 4 GiB: Ubuntu's 320M (since
# 24.10). Above: the sizes that hold in LISA's fleet of test machines.
debian_crashkernel_table() { echo "0-2G:192M,2G-4G:320M,4G-1T:512M,1T-4T:1G,4T-8T:2G,8T-:4G"; }

# The directory of dumps at mount point $1. apport, which linux-crashdump brings, removes each /var/crash/<12 digits> after a
# week, and so a dump that nobody has collected; one directory deeper it removes none.
debian_core_directory() { if grep -qsF "$1" "$HOST_ROOT"/etc/cron.daily/*; then echo "$1/hangdump"; else echo "$1"; fi; }

# Where dumps would go instead. Both the shell of kdump-config and systemd's EnvironmentFile= read that file.
debian_remote_target() {
  local key
  for key in NFS SSH FTP; do debian_setting $key; done
}

# kdump-tools wants only makedumpfile's arguments, and adds -F itself. $1: mount point, $2: core collector, $3: final action.
debian_configure_dump() {
  local remote arguments key
  remote="$(debian_remote_target)"
  [[ -z "$remote" ]] || fail "$DEBIAN_CONFIGURATION sends dumps to $remote. Remove that setting and run again."
  set_assignments "$DEBIAN_CONFIGURATION" USE_KDUMP 1 KDUMP_COREDIR "\"$(debian_core_directory "$1")\"" MAKEDUMP_ARGS "\"${2#makedumpfile }\""
  # The one gives the dump another format, which no reader of dumps opens; the other deletes dumps that nobody has collected.
  for key in KDUMP_COMPRESSION KDUMP_NUM_DUMPS; do
    if [[ "$(debian_setting "$key")" =~ [^0] ]]; then set_assignments "$DEBIAN_CONFIGURATION" "$key" '""'; fi
  done
  arguments="$(debian_crash_cmdline)"
  # Any other unit dumps without waiting for the volume: to the root file system.
  set_crash_arguments "$DEBIAN_CONFIGURATION" KDUMP_CMDLINE_APPEND "$arguments" kdump-tools-dump.service
  if [[ "$(debian_crash_cmdline)" != "$arguments" ]] && is_crash_kernel_loaded; then debian_load_crash_kernel; fi
  debian_drop_in "$(mount_unit "$1")" "$3" >"$WORK_DIR/drop-in"
  write_if_changed "$DEBIAN_DROP_IN" <"$WORK_DIR/drop-in"
  # The crash kernel runs on the host's own root: its sysctl.d would take the little memory (vm.nr_hugepages of a database), and
  # switch the triggers on. kdump-tools' own override is read first, not last (/run/sysctl.d/-kdump.conf, up to 1.10.9).
  printf '%s\n' "# Written by Hangdump." "[Unit]" "ConditionPathExists=!/proc/vmcore" | write_if_changed "$DEBIAN_SYSCTL_DROP_IN"
  systemctl daemon-reload
  enable_service kdump-tools.service
  debian_renew_initrd
}

# kdump-config makes an initrd when there is none or when its sysctls changed, not for a kernel that was replaced under the
# same release; and the links stay until the crash kernel is loaded again.
debian_renew_initrd() {
  local release initrd link
  release="$(kernel_release)"
  initrd="/var/lib/kdump/initrd.img-$release"
  link="$(readlink "$HOST_ROOT/var/lib/kdump/initrd.img" || true)"
  if ! is_crash_kernel_loaded || [[ ! -e "$HOST_ROOT$initrd" ]]; then return 0; fi
  if [[ "$HOST_ROOT/boot/vmlinuz-$release" -nt "$HOST_ROOT$initrd" ]]; then
    rm -f "$HOST_ROOT$initrd"
  elif [[ "$link" == "$initrd" ]] && cmp -s "$HOST_ROOT/etc/kdump/sysctl.conf" "$HOST_ROOT/var/lib/kdump/latest_sysctls-$release"; then
    return 0
  fi
  debian_load_crash_kernel || true
  note_change "crash kernel loaded again"
}

debian_has_irqpoll() { [[ " $(debian_crash_cmdline) " == *" irqpoll "* ]]; }

debian_crash_cmdline() {
  local value
  value="$(debian_setting KDUMP_CMDLINE_APPEND)"
  echo "${value:-reset_devices systemd.unit=kdump-tools-dump.service nr_cpus=1 irqpoll usbcore.nousb}"
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
# In the crash kernel only: no trigger must end the dump, a panic must not hang.
ExecStartPre=-/bin/sh -c 'test ! -s /proc/vmcore || { sysctl -q -p /etc/kdump/sysctl.conf; $(crash_kernel_commands); }'
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
  if detached "$hook" "$release"; then
    cp "$HOST_ROOT/etc/kdump/sysctl.conf" "$directory/latest_sysctls-$release" 2>/dev/null || true
  else
    log "that failed; kdump-tools.service tries again at the next boot"
  fi
}

debian_load_crash_kernel() { detached systemctl restart kdump-tools.service; }
