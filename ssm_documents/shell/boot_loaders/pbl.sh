#!/bin/bash
# Owns crashkernel= on SUSE, whose pbl (update-bootloader) edits what the boot loader in use reads: /etc/default/grub and
# grub.cfg, or /etc/kernel/cmdline and the boot loader entries.

pbl_uses_entries() { [[ "$(assignment /etc/sysconfig/bootloader LOADER_TYPE)" == @(grub2-bls|systemd-boot) ]]; }

# The command lines of the next boot, whichever entry it takes.
pbl_command_lines() {
  if pbl_uses_entries; then
    cat "$HOST_ROOT"/boot/efi/loader/entries/*.conf 2>/dev/null | sed -n 's/^options[[:space:]]//p'
  else
    sed -nE 's/^[[:space:]]*linux(efi|16)?[[:space:]]//p' "$HOST_ROOT/boot/grub2/grub.cfg" 2>/dev/null || true
  fi
}

pbl_configured_crashkernels() { pbl_command_lines | crashkernel_values; }

# The same in the order of the first entry that has any: kdump-commandline.service compares word by word.
pbl_crashkernel_arguments() {
  pbl_command_lines | awk '{
    for (i = 1; i <= NF; i++) if ($i ~ /^crashkernel=/) line = line (line ? " " : "") $i
    if (line) { print line; exit }
  }'
}

# pbl leaves the entries of kernels that are installed already as they are.
pbl_update() {
  local tool="$1" arguments="$2"
  if pbl_uses_entries; then
    "$tool" --add-option "$arguments" --config && { sdbootutil update-all-entries || log "note: sdbootutil update-all-entries failed"; }
  else
    "$tool" --config
  fi </dev/null >&2 3>&- 9>&-
}

pbl_configure_reservation() {
  local value="$1" tool arguments
  arguments="$(crashkernel_arguments "$value")"
  tool="$(command -v pbl || command -v update-bootloader)" ||
    fail ConfigurationFailed "There is no pbl on this host. Put crashkernel=$value on the kernel's command line in the way its boot loader wants, reboot, and run again."
  keep_backup /etc/kernel/cmdline
  # Not by pbl, whose --add-option replaces only the first crashkernel= on SLES 15: YaST sets two.
  pbl_uses_entries || grub2_edit_defaults "$arguments"
  if ! is_crashkernel_configured "$value"; then
    pbl_update "$tool" "$arguments" ||
      fail ConfigurationFailed "pbl failed; /var/log/pbl.log says why. crashkernel=$value stays in /etc/default/grub or /etc/kernel/cmdline. Repair the boot loader's configuration and run again."
    note_change "crashkernel in the boot loader"
  fi
  is_crashkernel_configured "$value" || fail ConfigurationFailed "The boot loader has '$(pbl_configured_crashkernels | paste -s -d ' ')' instead of crashkernel=$value after pbl (LOADER_TYPE is '$(assignment /etc/sysconfig/bootloader LOADER_TYPE)'). Set it there by hand, and run again."
}
