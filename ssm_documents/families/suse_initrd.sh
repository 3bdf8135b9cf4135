#!/bin/bash
# Owns the crash kernel's initrd on SUSE: where it is, what it mounts, when it must be built anew.
# shellcheck disable=SC2317,SC2329 # called by name, through family(); not every document calls every function

# Where kdump 2 puts it, else kdump 1.
suse_crash_initrd() {
  local path release
  release="$(suse_setting KDUMP_KERNELVER)"
  for path in /var/lib/kdump/initrd "/boot/initrd-${release:-$(kernel_release)}-kdump"; do
    if [[ -f "$HOST_ROOT$path" ]]; then
      echo "$path"
      return 0
    fi
  done
}

suse_crash_initrd_modules() {
  lsinitrd "$HOST_ROOT$(suse_crash_initrd)" 2>/dev/null | sed -n 's|.*/\([^/ ]*\)\.ko[.a-z0-9]*$|\1|p' || true
}

# Does the initrd mount another file system than the one at $1? Only kdump 2 mounts below /kdump/mnt and by UUID.
suse_mounts_another() {
  local uuid
  uuid="$(fstab_lines "$1" | sed -n 's/^UUID=\([^ \t]*\).*/\1/p')"
  lsinitrd -f etc/fstab "$HOST_ROOT$(suse_crash_initrd)" 2>/dev/null |
    awk -v point="/kdump/mnt$1" -v uuid="$uuid" '
      $2 !~ "^/kdump/mnt/" { next }
      { seen = 1 }
      $2 == point && ($1 !~ /by-uuid/ || !uuid || index($1, uuid)) { right = 1 }
      END { exit !(seen && !right) }'
}

suse_is_initrd_current() {
  local path
  path="$(suse_crash_initrd)"
  [[ -n "$path" && "$HOST_ROOT$path" -nt "$HOST_ROOT$SUSE_CONFIGURATION" && "$HOST_ROOT$path" -nt "$HOST_ROOT$SUSE_PRESCRIPT" ]] && ! suse_mounts_another "$1"
}

suse_prepare_crash_kernel() {
  if suse_is_initrd_current "$SSM_mountPoint"; then return 0; fi
  log "making the crash kernel's initrd"
  detached mkdumprd -f || log "that failed; kdump.service tries again at the next boot"
}

suse_load_crash_kernel() {
  suse_prepare_crash_kernel
  detached systemctl restart kdump.service
}
