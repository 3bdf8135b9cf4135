#!/bin/bash
# Owns crashkernel= where GRUB reads /etc/default/grub.d and update-grub makes grub.cfg of it (Debian, Ubuntu).
GRUB_D_FILE=/etc/default/grub.d/kdump-tools.cfg

# The crashkernel= values that the next boot would get, one a line.
grub_configured_crashkernels() {
  { grep -ho '^[[:space:]]*linux.*' "$HOST_ROOT/boot/grub/grub.cfg" 2>/dev/null || true; } | crashkernel_values
}

# Drops every crashkernel= from GRUB_CMDLINE lines, and the line when nothing else is in it.
grub_without_crashkernel() {
  sed -E -e '/^[[:space:]]*GRUB_CMDLINE/s/[ ]*crashkernel=[^ "'\'']*//g' \
    -e '/^[[:space:]]*(GRUB_CMDLINE_[A-Z_]+)="?\$\{?\1\}?"?[[:space:]]*$/d' "$HOST_ROOT$1"
}

# /etc/default/grub loses to grub.d, and a later file may set the variable anew: so grub.cfg itself is looked at in the end.
grub_configure_reservation() {
  local value="$1" file
  command -v update-grub >/dev/null || fail ConfigurationFailed "There is no update-grub on this host. Put crashkernel=$value on the kernel's command line in the way its boot loader wants, reboot, and run again."
  for file in "$HOST_ROOT/etc/default/grub" "$HOST_ROOT"/etc/default/grub.d/*.cfg; do
    file="${file#"$HOST_ROOT"}"
    if [[ "$file" != "$GRUB_D_FILE" ]] && grep -qs '^[[:space:]]*GRUB_CMDLINE.*crashkernel=' "$HOST_ROOT$file"; then
      keep_backup "$file"
      grub_without_crashkernel "$file" >"$WORK_DIR/grub"
      write_if_changed "$file" <"$WORK_DIR/grub"
    fi
  done
  keep_backup "$GRUB_D_FILE"
  {
    if [[ -f "$HOST_ROOT$GRUB_D_FILE" ]]; then grub_without_crashkernel "$GRUB_D_FILE"; fi
    echo "GRUB_CMDLINE_LINUX_DEFAULT=\"\$GRUB_CMDLINE_LINUX_DEFAULT $(crashkernel_arguments "$value")\""
  } >"$WORK_DIR/grub"
  write_if_changed "$GRUB_D_FILE" <"$WORK_DIR/grub"
  if ! is_crashkernel_configured "$value"; then
    update-grub 3>&- 9>&- || fail ConfigurationFailed "update-grub failed; its stderr says why. Repair the boot loader's configuration and run again."
    note_change /boot/grub/grub.cfg
  fi
  is_crashkernel_configured "$value" || fail ConfigurationFailed "/boot/grub/grub.cfg has '$(grub_configured_crashkernels | paste -s -d ' ')' instead of crashkernel=$value after update-grub: a file in /etc/default/grub.d sets GRUB_CMDLINE_LINUX_DEFAULT anew. Make it append, and run again."
}
