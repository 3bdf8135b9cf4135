#!/bin/bash
# Owns crashkernel= on SUSE, whose pbl (update-bootloader) edits what the boot loader in use reads: /etc/default/grub and
# grub.cfg, or /etc/kernel/cmdline and the boot loader entries.

pbl_uses_entries() { [[ "$(assignment /etc/sysconfig/bootloader LOADER_TYPE)" == @(grub2-bls|systemd-boot) ]]; }

# The command lines of the next boot, whichever entry it takes.
pbl_command_lines() {
  if pbl_uses_entries; then
    cat "$HOST_ROOT"/boot/efi/loader/entries/*.conf 2>/dev/null | sed -n 's/^options[[:space:]]//p'
  else
    grub_command_lines /boot/grub2/grub.cfg
  fi
}

suse_configured_crashkernels() { pbl_command_lines | crashkernel_values; }

# The same in the order of the first entry that has any: kdump-commandline.service compares word by word.
pbl_crashkernel_arguments() {
  { pbl_command_lines | awk '/crashkernel=/ && !found++' | grep -o '\<crashkernel=[^ ]*' || true; } | paste -s -d ' '
}

# pbl leaves the entries of kernels that are installed already as they are.
pbl_update() {
  local tool="$1" arguments="$2"
  if pbl_uses_entries; then
    detached "$tool" --add-option "$arguments" --config && { detached sdbootutil update-all-entries || log "note: sdbootutil update-all-entries failed"; }
  else
    detached "$tool" --config
  fi
}

suse_configure_reservation() {
  local value="$1" tool arguments files
  arguments="$(crashkernel_arguments "$value")"
  tool="$(command -v pbl || command -v update-bootloader || true)"
  need_boot_loader_tool "${tool:-pbl}" "$value"
  # Not by pbl, whose --add-option replaces only the first crashkernel= on SLES 15: YaST sets two.
  pbl_uses_entries || grub2_edit_defaults "$arguments"
  if ! is_crashkernel_configured "$value"; then
    files=("$HOST_ROOT"/etc/kernel/cmdline "$HOST_ROOT"/boot/grub2/grub.cfg "$HOST_ROOT"/boot/efi/loader/entries/*.conf)
    record_files before "${files[@]}"
    pbl_update "$tool" "$arguments" || boot_loader_tool_failed pbl /var/log/pbl.log
    record_files after "${files[@]}"
    note_change "crashkernel in the boot loader"
  fi
  check_next_boot "$value" pbl "LOADER_TYPE is '$(assignment /etc/sysconfig/bootloader LOADER_TYPE)'. Set crashkernel= there by hand"
}
