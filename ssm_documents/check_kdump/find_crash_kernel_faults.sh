#!/bin/bash
# The findings about the crash kernel itself: whether it can be loaded, its initramfs, its action after the dump.

# kexec_file_load does in the kernel what kexec_load does in user space: see docs/readiness.md.
find_loading_faults() {
  local lockdown
  if ! family uses_kexec_file_load; then
    lockdown="$(sed -n 's/.*\[\(integrity\|confidentiality\)\].*/\1/p' "$HOST_ROOT/sys/kernel/security/lockdown" 2>/dev/null || true)"
    if [[ -n "$lockdown" ]]; then
      finding lockdown-refuses-kexec "the kernel is locked down ($lockdown) and the crash kernel is loaded by kexec_load, which is refused then" "make the kdump service use kexec_file_load (kexec -s), or boot without lockdown"
    fi
    if [[ "$(text_of /proc/sys/kernel/kptr_restrict)" == 2 ]]; then
      finding kptr-restricted "kernel.kptr_restrict is 2 and the crash kernel is loaded by kexec_load, which needs addresses from /proc/kallsyms" "set kernel.kptr_restrict = 1 in sysctl.d, or make the kdump service use kexec_file_load (kexec -s)"
    fi
  fi
  find_disabled_kexec
  if (($(reserved_bytes) == 0)) || is_crash_kernel_loaded; then return 0; fi
  if ! has_finding lockdown-refuses-kexec kexec-load-disabled kptr-restricted service-disabled family-configuration-missing; then
    finding crash-kernel-not-loaded "/sys/kernel/kexec_crash_loaded is not 1" "$(remedy_unless_pinned "run configure_kdump; journalctl -u $(family kdump_service) says why it was not loaded")"
  fi
}

# sysctl.d is applied before the crash kernel is loaded. Some set it afterwards, by a program of theirs.
find_disabled_kexec() {
  local file
  file="$(awk '$1 == "kernel.kexec_load_disabled" && $2 == 1 { print $NF; exit }' "$WORK_DIR/assignments")"
  if [[ -n "$file" ]]; then
    finding kexec-load-disabled "$file sets kernel.kexec_load_disabled = 1: at boot no crash kernel can be loaded after that" "remove that line from $file, reboot, then run configure_kdump"
  elif is_kexec_load_disabled && ! is_crash_kernel_loaded; then
    finding kexec-load-disabled "kernel.kexec_load_disabled is 1, and no crash kernel is loaded; no file of sysctl.d sets it" "remove the program that sets it (grep -r kexec_load_disabled /etc), reboot, then run configure_kdump"
  elif is_kexec_load_disabled; then
    note_finding kexec-load-disabled "kernel.kexec_load_disabled is 1: the crash kernel that is loaded cannot be loaded anew" "reboot after each change of kdump's configuration"
  fi
}

# configure_kdump leaves alone which kernel and initramfs its owner chose for crashes. $1: the remedy otherwise.
remedy_unless_pinned() {
  local pinned
  pinned="$(family pinned_kernel)"
  if [[ -n "$pinned" ]]; then echo "$pinned, then run configure_kdump"; else echo "$1"; fi
}

find_initramfs_faults() {
  local initrd release kernel
  initrd="$(family crash_initrd)"
  release="$(kernel_release)"
  if [[ -z "$initrd" || ! -e "$HOST_ROOT$initrd" ]]; then return 0; fi
  # SUSE's is called initrd, without a release.
  if [[ "${initrd##*/}" == *[0-9]* && "$initrd" != *"$release"* ]]; then
    stale_initramfs "$initrd is not that of the running kernel $release"
  fi
  for kernel in "/boot/vmlinuz-$release" "/boot/Image-$release" "/lib/modules/$release/vmlinuz"; do
    if [[ -f "$HOST_ROOT$kernel" && "$HOST_ROOT$kernel" -nt "$HOST_ROOT$initrd" ]]; then
      stale_initramfs "$initrd is older than $kernel"
    fi
  done
  find_missing_nvme "$initrd" "$release"
}

# The families also call it, for the configuration in their initramfs.
stale_initramfs() {
  if ! has_finding crash-initramfs-stale; then
    finding crash-initramfs-stale "$1" "$(remedy_unless_pinned "run configure_kdump, which has it made anew")"
  fi
}

# An empty list proves nothing: the tool that prints it is missing.
find_missing_nvme() {
  local directory modules
  [[ "$TARGET_DISK" == nvme* ]] || return 0
  for directory in /lib/modules /usr/lib/modules; do
    if grep -qs '/nvme\.ko' "$HOST_ROOT$directory/$2/modules.builtin"; then return 0; fi
  done
  modules="$(family crash_initrd_modules)"
  if [[ -n "$modules" ]] && ! grep -qx nvme <<<"$modules"; then
    finding crash-initramfs-lacks-nvme "$1 has no module nvme and the kernel has it not built in: the crash kernel would not see the dump volume" "make the initramfs contain nvme, restart $(family kdump_service), then check again"
  fi
}

find_action_faults() {
  local action remedy
  action="$(family final_action)"
  # The owner's own line, which configure_kdump leaves alone.
  remedy="$(family own_final_action)"
  remedy="${remedy:+remove $remedy, then }"
  case "$action" in
    "") ;;
    reboot | poweroff)
      if [[ "$SSM_finalAction" != any && "$action" != "$SSM_finalAction" ]]; then
        finding final-action "after the dump the crash kernel does '$action', not '$SSM_finalAction'" "${remedy}run configure_kdump with finalAction $SSM_finalAction"
      fi
      ;;
    *) finding final-action "after the dump the crash kernel does '$action': the instance would not come back" "${remedy}run configure_kdump" ;;
  esac
  action="$(family failure_action)"
  if [[ "$action" == @(shell|halt|nothing) ]]; then
    finding failure-action "after a dump that failed the crash kernel does '$action': the instance would not come back" "$(family failure_remedy)"
  fi
}

# systemd 245 and 246 switch it on by their tmpfiles.d/systemd-pstore.conf.
find_second_panic_path() {
  local source
  if [[ "$(text_of /sys/module/kernel/parameters/crash_kexec_post_notifiers)" != Y ]]; then return 0; fi
  source="$(grep -lsE '^w.*crash_kexec_post_notifiers.*Y' "$HOST_ROOT"/etc/tmpfiles.d/*.conf "$HOST_ROOT"/usr/lib/tmpfiles.d/*.conf | head -n 1 || true)"
  if [[ $'\n'"$(booted_arguments)" == *$'\n'crash_kexec_post_notifiers* ]]; then source="the kernel's command line"; fi
  finding second-panic-path "crash_kexec_post_notifiers is Y${source:+, set by ${source#"$HOST_ROOT"}}: panic notifiers run before the crash kernel and may hang" "remove that setting (a file of the same name in /etc/tmpfiles.d hides one in /usr/lib), and: echo N >/sys/module/kernel/parameters/crash_kexec_post_notifiers"
}
