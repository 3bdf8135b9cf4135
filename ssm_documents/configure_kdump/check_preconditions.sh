#!/bin/bash
# The conditions to check before any change to this host; each failure has its own name.

# Nitro and bare metal report "Amazon EC2"; Xen types report "Xen" and have /sys/hypervisor.
is_nitro() {
  [[ "$(text_of /sys/class/dmi/id/sys_vendor)" == "Amazon EC2" ]] &&
    [[ "$(text_of /sys/hypervisor/type)" != xen ]]
}

# Without a config file the kernel still shows whether it can load a crash kernel.
has_crash_dump_support() {
  local config
  config="$HOST_ROOT/boot/config-$(kernel_release)"
  if [[ -f "$config" ]]; then
    grep -qx 'CONFIG_CRASH_DUMP=y' "$config"
  else
    [[ -e "$HOST_ROOT/sys/kernel/kexec_crash_size" ]]
  fi
}

# The type has 1 GB, but the kernel shows up to 10 % less (firmware, its own image, page structures).
has_enough_memory() { (($(memory_bytes) >= 900 << 20)); }

check_space() {
  local mib path free
  while read -r mib path; do
    free="$(free_bytes "$path")"
    if ((free < mib << 20)); then
      fail InsufficientBootSpace "The file system of $path has $((free >> 20)) MiB free; $mib MiB are needed for the crash kernel. Remove old kernels or enlarge it."
    fi
  done <"$WORK_DIR/space-needed"
}

# Otherwise a library missing from makedumpfile would show only at the crash: the dump would be several times as large.
check_compression() {
  local option library
  while read -r option library; do
    if [[ " $SSM_coreCollector " == *" $option "* ]] && makedumpfile -v 2>&1 | grep -c "^${library}[[:space:]]*disabled" >/dev/null; then
      fail InvalidParameter "coreCollector has $option, but this host's makedumpfile is built without $library; take -c (zlib) or another."
    fi
  done <<<$'-l lzo\n-p snappy\n-z zstd'
}

# With these the host loads no crash kernel, whatever is configured.
check_what_the_owner_forbids() {
  local masked files
  masked="$(masked_units)"
  [[ -z "$masked" ]] || fail "$masked is masked, so nothing can start it. Run: systemctl unmask $masked; then run again."
  if is_kexec_load_disabled && ! is_crash_kernel_loaded; then
    files="$(kexec_disabling_files)"
    fail "kernel.kexec_load_disabled is 1, set by ${files:-no file of sysctl.d}, so the kernel loads no crash kernel. Remove what sets it, reboot, and run again."
  fi
}

check_preconditions() {
  if [[ " $SSM_coreCollector " =~ \ -d[\ 0-9] ]]; then
    fail InvalidParameter "coreCollector has -d; give the level as dumpLevel."
  fi
  # Their crash kernel's initrd has no libgcc_s, so makedumpfile aborts at the first exit of a thread: no dump is complete.
  if [[ "$FAMILY" == debian && " $SSM_coreCollector " == *" --num-threads"* ]]; then
    fail InvalidParameter "coreCollector has --num-threads, which aborts in the crash kernel of Debian and Ubuntu; take it out."
  fi
  if [[ "$SSM_guestWatchdog" == true ]] && ! modinfo -k "$(kernel_release)" softdog >/dev/null; then
    fail InvalidParameter "guestWatchdog is true, but kernel $(kernel_release) has no module softdog. Set it to false, or install the kernel's extra modules."
  fi
  is_nitro || fail NotNitro "DMI says '$(text_of /sys/class/dmi/id/sys_vendor)', not a Nitro instance: EC2 could not deliver a diagnostic interrupt. Move to a Nitro type."
  has_crash_dump_support || fail NoCrashDumpSupport "Kernel $(kernel_release) is built without CONFIG_CRASH_DUMP: it cannot dump. Boot the distribution's own kernel."
  has_enough_memory || fail InsufficientMemory "This host has $(($(memory_bytes) >> 20)) MiB; kdump needs 1 GB, as it keeps a part for the crash kernel. Change it to a larger type."
  check_what_the_owner_forbids
  refuse_settings_in_parts
  family space_needed >"$WORK_DIR/space-needed"
  check_space
}
