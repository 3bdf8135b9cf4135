#!/bin/bash
# Owns crashkernel= where GRUB reads /etc/default/grub.d and update-grub makes grub.cfg of it (Debian, Ubuntu).
GRUB_D_FILE=/etc/default/grub.d/kdump-tools.cfg

# The kernel's command lines in grub.cfg $1, whichever entry boots.
grub_command_lines() { sed -nE 's/^[[:space:]]*linux(16|efi)?[[:space:]]//p' "$HOST_ROOT$1" 2>/dev/null || true; }

# The crashkernel= values that the next boot would get, one a line.
debian_configured_crashkernels() { grub_command_lines /boot/grub/grub.cfg | crashkernel_values; }

# From GRUB's defaults $1: drops every crashkernel= from GRUB_CMDLINE lines, and the line when nothing else is in it. The last line
# ends, so that another can follow.
grub_without_crashkernel() {
  awk 1 "$HOST_ROOT$1" | sed -E -e '/^[^#]*GRUB_CMDLINE/s/[ ]*\<crashkernel=[^ "'\'')]*//g' \
    -e '/^[[:space:]]*(GRUB_CMDLINE_[A-Z_]+)="?\$\{?\1\}?"?[[:space:]]*$/d'
}

# /etc/default/grub loses to grub.d, and a later file may set the variable anew: so grub.cfg itself is looked at in the end.
debian_configure_reservation() {
  local value="$1" file
  need_boot_loader_tool update-grub "$value"
  for file in "$HOST_ROOT/etc/default/grub" "$HOST_ROOT"/etc/default/grub.d/*.cfg; do
    file="${file#"$HOST_ROOT"}"
    if [[ "$file" != "$GRUB_D_FILE" ]] && grep -qs '^[^#]*GRUB_CMDLINE.*crashkernel=' "$HOST_ROOT$file"; then
      grub_without_crashkernel "$file" >"$WORK_DIR/grub"
      write_if_changed "$file" <"$WORK_DIR/grub"
    fi
  done
  {
    if [[ -f "$HOST_ROOT$GRUB_D_FILE" ]]; then grub_without_crashkernel "$GRUB_D_FILE"; fi
    echo "GRUB_CMDLINE_LINUX_DEFAULT=\"\$GRUB_CMDLINE_LINUX_DEFAULT $(crashkernel_arguments "$value")\""
  } >"$WORK_DIR/grub"
  write_if_changed "$GRUB_D_FILE" <"$WORK_DIR/grub"
  if ! is_crashkernel_configured "$value"; then
    record_files before "$HOST_ROOT/boot/grub/grub.cfg"
    detached update-grub || boot_loader_tool_failed update-grub
    record_files after "$HOST_ROOT/boot/grub/grub.cfg"
    note_change /boot/grub/grub.cfg
  fi
  check_next_boot "$value" update-grub "a file in /etc/default/grub.d sets GRUB_CMDLINE_LINUX_DEFAULT anew. Make it append"
}
