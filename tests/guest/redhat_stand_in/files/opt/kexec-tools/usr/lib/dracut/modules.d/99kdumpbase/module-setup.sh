#!/bin/bash
# dracut module of the stand-in kdumpctl: the crash initramfs waits for the dump target, dumps, and goes no further.
# TARGET_TYPE and, of a target that is there, TARGET_UUID come from kdumpctl.

check() { return 255; }

depends() { echo base; }

install() {
  # shellcheck disable=SC2154 # dracut's
  local module="$moddir" root="$initdir"
  inst_multiple makedumpfile date sync dmesg mount findmnt mkdir mv sleep cat cut sed grep
  inst_simple /etc/kdump.conf
  # shellcheck disable=SC2046 # one program
  inst_multiple $(sed -n 's/^kdump_pre //p' /etc/kdump.conf)
  inst_script "$module/kdump.sh" /usr/bin/kdump.sh
  inst_simple /lib/kdump/kdump-lib-initramfs.sh /lib/kdump-lib-initramfs.sh
  # dracut insists on a root= that some module knows.
  printf 'rootok=1\n' >"$root/lib/dracut/hooks/cmdline/90-kdump.sh"
  printf '/usr/bin/kdump.sh\n' >"$root/lib/dracut/hooks/pre-mount/10-kdump.sh"
  if [[ -z "$TARGET_UUID" ]]; then return 0; fi
  echo "$TARGET_TYPE /dev/disk/by-uuid/$TARGET_UUID" >"$root/etc/dump-target"
  printf '[ -e "/dev/disk/by-uuid/%s" ]\n' "$TARGET_UUID" >"$root/lib/dracut/hooks/initqueue/finished/kdump.sh"
  # The target never came: the script finds that out and obeys failure_action.
  printf '/usr/bin/kdump.sh\n' >"$root/lib/dracut/hooks/initqueue/timeout/10-kdump.sh"
  mkdir -p "$root/etc/cmdline.d"
  echo 'rd.retry=60' >"$root/etc/cmdline.d/90-kdump.conf"
}
