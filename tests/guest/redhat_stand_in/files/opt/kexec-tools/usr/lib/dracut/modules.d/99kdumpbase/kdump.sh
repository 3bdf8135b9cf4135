#!/bin/bash
# Runs in the crash kernel: mount, dump, final_action. What it says on the console are the lines that dracut's kdump says,
# because those are what an observer of the console goes by.

. /lib/kdump-lib-initramfs.sh

say() { echo "kdump[$$]: $*" >/dev/kmsg; }

option() { sed -n "s/^[[:space:]]*$1[[:space:]]\{1,\}//p" /etc/kdump.conf; }

# save_to DIRECTORY: as kdump lays it out, an unfinished dump under another name.
save_to() {
  local directory
  directory="$1/127.0.0.1-$(date +%Y-%m-%d-%T)"
  mkdir -p "$directory" || return 1
  say "saving to $directory/"
  say "saving vmcore-dmesg.txt to $directory/"
  makedumpfile --dump-dmesg /proc/vmcore "$directory/vmcore-dmesg-incomplete.txt" >/dev/null &&
    mv "$directory/vmcore-dmesg-incomplete.txt" "$directory/vmcore-dmesg.txt" && say "saving vmcore-dmesg.txt complete"
  say "saving vmcore"
  # shellcheck disable=SC2046 # a command with its options
  $(option core_collector) /proc/vmcore "$directory/vmcore-incomplete" >/dev/console 2>&1 || return 1
  sync && mv "$directory/vmcore-incomplete" "$directory/vmcore" && sync || return 1
  say "saving vmcore complete"
  dmesg >"$directory/kexec-dmesg.log"
  sync
}

# To the target of dracut's --mount, which is in the initramfs' fstab; or to the disk that was there when that was made.
dump() {
  local type device target point
  target="$(option dracut_args | sed -n 's/.*--mount .\(.*\)/\1/p' | cut -d ' ' -f 1)"
  if [ -n "$target" ]; then
    point="$(get_mntpoint_from_target "$target")"
    findmnt -k -n "$point" >/dev/null || mount --target "$point" || return 1
    save_to "$point$(option path)"
    return
  fi
  read -r type device </etc/dump-target
  mkdir -p /kdumproot
  mount -t "$type" "$device" /kdumproot && save_to "/kdumproot$(option path)"
}

dump_to_rootfs() {
  local root
  root="$(grep -o '\<root=[^ ]*' /proc/cmdline)"
  mkdir -p /sysroot
  # The root's file system is not among the drivers by name: ext4 is part of this kernel.
  mount "${root#root=}" /sysroot && save_to /sysroot/var/crash
}

# By sysrq, which needs no systemd here.
act() {
  say "$1"
  sync
  case "$1" in
    poweroff) echo o >/proc/sysrq-trigger ;;
    halt | shell) sleep infinity ;;
    *) echo b >/proc/sysrq-trigger ;;
  esac
  sleep 60
}

main() {
  local failure_action
  local hook
  failure_action="$(option failure_action)$(option default)"
  hook="$(option kdump_pre)"
  if [ -n "$hook" ] && ! "$hook"; then
    say "kdump_pre script exited with non-zero status!"
    act "$(option final_action)"
  fi
  if ! dump; then
    say "saving vmcore failed"
    if [[ "$failure_action" == dump_to_rootfs ]]; then dump_to_rootfs; else act "${failure_action:-reboot}"; fi
  fi
  act "$(option final_action)"
}

main
