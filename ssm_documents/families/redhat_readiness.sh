#!/bin/bash
# Owns what check_kdump asks of the RHEL-like family; nothing here changes the host.
# shellcheck disable=SC2317,SC2329 # called by name, through family(); not every document calls every function

redhat_crash_initrd() {
  local release path
  release="$(assignment "$REDHAT_SYSCONFIG" KDUMP_KERNELVER)"
  release="${release:-$(kernel_release)}"
  for path in "$HOST_ROOT/boot/initramfs-${release}kdump.img" "$HOST_ROOT"/boot/*/"$release"/initrdkdump \
    "$HOST_ROOT/var/lib/kdump/initramfs-${release}kdump.img"; do
    if [[ -e "$path" ]]; then
      echo "${path#"$HOST_ROOT"}"
      return
    fi
  done
}

# dracut's own list; without it the files, unless they are within a squashed image, which lsinitrd does not look into.
redhat_crash_initrd_modules() {
  local initrd listing
  initrd="$HOST_ROOT$(redhat_crash_initrd)"
  if [[ ! -f "$initrd" ]] || ! command -v lsinitrd >/dev/null; then return 0; fi
  listing="$(lsinitrd "$initrd" -f usr/lib/dracut/hostonly-kernel-modules.txt 2>/dev/null || true)"
  if [[ -n "$listing" ]]; then
    tr -s '[:space:]' '\n' <<<"$listing" | tr - _
    return
  fi
  listing="$(lsinitrd "$initrd" 2>/dev/null || true)"
  if [[ "$listing" == *squash*root.img* ]]; then return 0; fi
  sed -nE 's|.*/([^/]+)\.ko(\.[a-z0-9]+)?$|\1|p' <<<"$listing" | tr - _
}

# Recommended crashkernel: 256M
# Only of an initramfs that is as it should be: kdumpctl estimate would make it anew otherwise.
redhat_estimated_mib() {
  if redhat_is_initramfs_stale || ! is_crash_kernel_loaded || ! redhat_knows_command estimate; then return 0; fi
  { detached timeout 120 kdumpctl estimate 2>/dev/null || true; } | sed -nE 's/^Recommended crashkernel:[[:space:]]*([0-9]+)M.*/\1/p'
}

redhat_dump_level() {
  local collector
  collector="$(kdump_conf_value core_collector)"
  sed -n 's/.*-d *\([0-9]*\).*/\1/p' <<<"${collector:-makedumpfile -l -d 31}"
}

# Both are reboot where nothing is said.
redhat_final_action() {
  local action
  action="$(kdump_conf_value final_action)"
  echo "${action:-reboot}"
}

redhat_failure_action() {
  local action
  action="$(kdump_conf_value 'failure_action|default')"
  echo "${action:-reboot}"
}

redhat_own_final_action() { :; }
redhat_failure_remedy() { echo "run configure_kdump"; }

redhat_pinned_kernel() { kernel_pinned_in "$REDHAT_SYSCONFIG"; }

# With Secure Boot kdumpctl adds -s by itself.
redhat_uses_kexec_file_load() {
  local variable
  for variable in "$HOST_ROOT"/sys/firmware/efi/efivars/SecureBoot-*; do
    if [[ -f "$variable" && "$(tail -c 1 "$variable" | od -An -t u1 | tr -d ' ')" == 1 ]]; then return 0; fi
  done
  [[ " $(assignment "$REDHAT_SYSCONFIG" KEXEC_ARGS) " =~ \ (-s|-a|--kexec-file-syscall|--kexec-syscall-auto)\  ]]
}

# Findings of check_kdump that only this family can have. $1: mount point.
redhat_find_faults() {
  local wanted observed unit fault remedy="run configure_kdump with mountPoint $1"
  if ! redhat_has_kdump; then
    finding family-configuration-missing "kdumpctl and makedumpfile are not both installed" "run configure_kdump"
    return 0
  fi
  wanted="$(redhat_wanted_target "$1"), path /"
  observed="$(kdump_conf_targets | paste -s -d ' '), path $(kdump_conf_value path)"
  if is_parked; then
    wanted+=", $WAIT_LINE"
    observed+=", kdump_pre $(kdump_conf_value kdump_pre)"
    remedy="run park_dump_volume with mountPoint $1"
  fi
  if [[ "$observed" != "$wanted" ]]; then
    if ! has_finding fstab-entry-missing dump-target-wrong-uuid; then
      finding family-configuration-missing "$KDUMP_CONF has target '$observed', not '$wanted'" "$remedy"
    fi
  elif is_parked && redhat_is_wait_stale; then
    finding crash-initramfs-stale "$(redhat_crash_initrd) is older than $KDUMP_CONF or $WAIT_SCRIPT, or is not loaded yet" "$remedy"
  elif [[ -n "$(redhat_crash_initrd)" ]] && redhat_is_initramfs_stale; then
    stale_initramfs "$(redhat_crash_initrd) is older than $KDUMP_CONF, which is copied into it"
  fi
  # What is parked is mounted by no boot.
  if is_parked; then
    fault="$(redhat_parking_fault)"
    if [[ -z "$fault" && ! -x "$HOST_ROOT$WAIT_SCRIPT" ]]; then fault="$WAIT_SCRIPT cannot be run, and kdump refuses such a kdump_pre"; fi
    if [[ -n "$fault" ]] && ! has_finding parking-broken; then finding parking-broken "$fault" "$remedy; or attach the dump volume and run prepare_dump_volume, then configure_kdump"; fi
    return 0
  fi
  unit="$(mount_unit "$1")"
  if ! grep -qsxF "After=$unit" "$HOST_ROOT$REDHAT_DROP_IN" || ! grep -qsxF "Wants=$unit" "$HOST_ROOT$REDHAT_DROP_IN"; then
    finding drop-in-missing "$REDHAT_DROP_IN does not make kdump.service wait for $unit: at boot kdump would refuse a target that is not mounted yet" "run configure_kdump"
  fi
}
