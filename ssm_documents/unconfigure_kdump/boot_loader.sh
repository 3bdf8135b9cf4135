#!/bin/bash
# Takes crashkernel= out of the boot loader where the ledger does not suffice: a kernel that was installed since copied it, or
# its configuration was made anew. By the distribution's own tool, as configure_kdump put it there.
# A run that is repeated needs what it learned from records that are undone: "FILE VALUE" of before, and the values that
# Hangdump wrote. IS_STALE is there when a grub.cfg has to be made anew.
VALUES_BEFORE=/var/lib/hangdump/values-before
VALUES_OURS=/var/lib/hangdump/values-ours
IS_STALE=/var/lib/hangdump/boot-loader-is-stale

# From a record of one of the boot loader's files. The oldest record of a file, which comes last, says what was before.
note_boot_loader_edit() {
  case "$1" in
    /boot/* | /etc/default/grub* | /etc/kernel/cmdline)
      {
        awk -v name="$1" '$1 != name' "$HOST_ROOT$VALUES_BEFORE" 2>/dev/null || true
        decode "$2" | crashkernel_values | sed "s|^|$1 |"
      } >"$WORK_DIR/values-before"
      cat "$WORK_DIR/values-before" >"$HOST_ROOT$VALUES_BEFORE"
      decode "$3" | crashkernel_values >>"$HOST_ROOT$VALUES_OURS"
      ;;
  esac
}

values_before() { text_of "$VALUES_BEFORE" | cut -d ' ' -f 2- | sort -u; }

# One a line: what only Hangdump wrote.
our_crashkernels() {
  values_before >"$WORK_DIR/values-before"
  text_of "$VALUES_OURS" | sort -u | { grep -vxFf "$WORK_DIR/values-before" || true; }
}

# Whether the next boot, or a boot loader entry, still has a value of ours.
has_our_crashkernel() {
  our_crashkernels >"$WORK_DIR/values"
  [[ -s "$WORK_DIR/values" ]] || return 1
  { family configured_crashkernels && { cat "$HOST_ROOT"/boot/loader/entries/*.conf 2>/dev/null || true; } | crashkernel_values; } |
    grep -cxFf "$WORK_DIR/values" >/dev/null
}

renew_boot_loader() {
  if [[ ! -e "$HOST_ROOT$IS_STALE" ]] && ! has_our_crashkernel; then return 0; fi
  case "$FAMILY" in
    debian) detached update-grub || boot_loader_tool_failed update-grub ;;
    redhat) renew_redhat_boot_loader ;;
    suse) renew_suse_boot_loader ;;
  esac
  rm -f "$HOST_ROOT$IS_STALE"
  note_change "crashkernel in the boot loader"
  if has_our_crashkernel; then note_left "the boot loader" crashkernel "$(family configured_crashkernels | paste -s -d ' ')" "$(paste -s -d ' ' <"$WORK_DIR/values")"; fi
}

renew_redhat_boot_loader() {
  local file before
  if grubby_is_used; then
    before="$(crashkernel_of_before)"
    detached grubby --update-kernel=ALL --remove-args=crashkernel ${before:+--args="$before"} || boot_loader_tool_failed grubby
    return
  fi
  grub2_make_configuration
  while read -r file; do
    cp "$WORK_DIR/grub.cfg" "$HOST_ROOT$file.hangdump-new"
    put_in_place "$HOST_ROOT$file"
  done < <(grub2_configurations)
}

crashkernel_of_before() { values_before | sed 's/^/crashkernel=/' | paste -s -d ' '; }

renew_suse_boot_loader() {
  local tool
  tool="$(command -v pbl || command -v update-bootloader || true)"
  if pbl_uses_entries; then
    detached sdbootutil update-all-entries || boot_loader_tool_failed sdbootutil
  else
    detached "${tool:-pbl}" --config || boot_loader_tool_failed pbl /var/log/pbl.log
  fi
}
