#!/bin/bash
# Gives back what the ledger's files do not show: the reserved memory, the packages, and the dump volume's mount.

# The host's own kdump, which was there before Hangdump: a service that is enabled, with memory for the next boot, and not of a
# package that Hangdump installed.
has_own_kdump() {
  ! has_packages_to_remove && is_service_enabled "$(family kdump_service)" && [[ -n "$(family configured_crashkernels)" ]]
}

# Sets BYTES_BACK and KDUMP (off, or the owner's). The kernel frees the part of a reservation above 4 GiB; what it keeps (of a
# kernel that is locked down, all) a reboot frees.
release_memory() {
  local before service
  BYTES_BACK=0 KDUMP=off
  service="$(family kdump_service)"
  if has_own_kdump; then
    KDUMP=owner
    detached systemctl restart "$service" || log "note: $service did not start with its own configuration; journalctl -u $service says why"
    return 0
  fi
  before="$(reserved_bytes)"
  detached systemctl stop "$service" || true
  if is_crash_kernel_loaded; then detached kexec -p -u || detached kexec -s -p -u || log "note: the crash kernel could not be unloaded"; fi
  if ((before > 0)) && ! echo 0 2>/dev/null >"$HOST_ROOT/sys/kernel/kexec_crash_size"; then
    note_left "the running kernel" "reserved memory" "$before bytes" "the kernel gives it back at the next boot"
  fi
  remove_crash_initrd
  BYTES_BACK=$((before - $(reserved_bytes)))
  if ((BYTES_BACK > 0)); then note_change "$((BYTES_BACK >> 20)) MiB of reserved memory"; fi
}

# Where there was no kdump before Hangdump. Only a name of kdump's own: Debian's kdump can take the initrd of ordinary boots.
remove_crash_initrd() {
  local initrd
  initrd="$(family crash_initrd)"
  if ((IS_KDUMP_OURS)) && [[ "$initrd" == *kdump* ]]; then
    rm -f "$HOST_ROOT$initrd"
    note_change "$initrd"
  fi
}

has_packages_to_remove() { [[ " ${RECORDS[*]:-}" == *" package "* ]]; }

# All at once, by the tools that refuse what another package needs.
remove_packages() {
  local names=()
  has_packages_to_remove || return 0
  printf '%s\n' "${RECORDS[@]}" | sed -n 's/^package \([^ ]*\) .*/\1/p' >"$WORK_DIR/ours"
  # Without those that their owner has removed since.
  mapfile -t names < <(family packages | grep -xFf "$WORK_DIR/ours")
  if ((${#names[@]} > 0)); then
    if family remove_packages "${names[@]}" >"$WORK_DIR/removed" 2>&1; then
      note_change "packages ${names[*]}"
      # kdump-tools' postrm makes grub.cfg before its own part of the configuration, a crashkernel=, is purged.
      if [[ "$FAMILY" == debian ]]; then : >"$HOST_ROOT$IS_STALE"; fi
    else
      log "$(cat "$WORK_DIR/removed")"
      note_left "" packages "$(tail -n 2 "$WORK_DIR/removed" | paste -s -d ' ')" "${names[*]}"
    fi
  fi
  undo_records "package *"
}

unmount_volume() {
  if ! is_mounted "$SSM_mountPoint"; then return 0; fi
  umount "$HOST_ROOT$SSM_mountPoint" 2>"$WORK_DIR/umount" ||
    fail "The dump volume could not be unmounted from $SSM_mountPoint: $(tail -n 1 "$WORK_DIR/umount"). End what uses it (fuser -vm $SSM_mountPoint), and run again; all else is undone already."
  note_change "unmounted $SSM_mountPoint"
}
