#!/bin/bash
# Owns crashkernel= where GRUB reads boot loader entries and grubby edits them: EL8 and later, Fedora, Amazon Linux 2023.

grubby_is_used() {
  compgen -G "$HOST_ROOT/boot/loader/entries/*.conf" >/dev/null && [[ "$(assignment /etc/default/grub GRUB_ENABLE_BLSCFG)" != false ]]
}

# Of the entry that boots next; grubby puts in what the entry leaves to $kernelopts in grubenv (EL8). Where saved_entry in
# grubenv names an entry that is gone grubby says nothing, and GRUB takes the first one.
grubby_configured_crashkernels() {
  local entry
  entry="$(grubby --info=DEFAULT 2>/dev/null || true)"
  [[ -n "$entry" ]] || entry="$(grubby --info=0 2>/dev/null || true)"
  sed -n 's/^args=//p' <<<"$entry" | crashkernel_values
}

# grubby of EL8 and Amazon Linux 2023 puts its GRUB_CMDLINE_LINUX in place of GRUB_CMDLINE_LINUX_DEFAULT and of all that
# begins like it: that file is put back, and grub2_edit_defaults edits it.
grubby_update_entries() {
  local code=0 defaults="$HOST_ROOT$GRUB2_DEFAULTS"
  cp -p "$defaults" "$WORK_DIR/defaults" 2>/dev/null || true
  detached grubby --update-kernel=ALL --remove-args=crashkernel --args="$1" || code=$?
  if [[ -f "$WORK_DIR/defaults" ]]; then
    cp -p "$WORK_DIR/defaults" "$defaults" || code=1
    relabel "$defaults"
  fi
  return "$code"
}

# New kernels get their command line from here where it exists.
grubby_edit_kernel_cmdline() {
  local file=/etc/kernel/cmdline
  [[ -s "$HOST_ROOT$file" ]] || return 0
  echo "$(without_crashkernel <"$HOST_ROOT$file") $(crashkernel_arguments "$1")" >"$WORK_DIR/cmdline"
  write_if_changed "$file" <"$WORK_DIR/cmdline"
}

grubby_configure_reservation() {
  local value="$1" arguments files
  arguments="$(crashkernel_arguments "$value")"
  need_boot_loader_tool grubby "$value"
  if ! is_crashkernel_configured "$value"; then
    files=("$HOST_ROOT"/boot/grub2/grubenv "$HOST_ROOT"/boot/loader/entries/*.conf)
    record_files before "${files[@]}"
    grubby_update_entries "$arguments" || boot_loader_tool_failed grubby
    record_files after "${files[@]}"
    note_change "crashkernel in /boot/loader/entries"
  fi
  # Not read as long as the entries say everything, but grub2-mkconfig may write the entries anew from it.
  grub2_edit_defaults "$arguments"
  grubby_edit_kernel_cmdline "$value"
  check_next_boot "$value" grubby "of a pair (high and low) give the high part only; otherwise see grubby --info=ALL"
}
