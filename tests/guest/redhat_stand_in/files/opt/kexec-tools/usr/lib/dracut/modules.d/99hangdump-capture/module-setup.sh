#!/bin/bash
# dracut module of the stand-in kdumpctl: the crash initramfs waits for the dump target, dumps, and goes no further.
# TARGET_UUID and TARGET_TYPE come from kdumpctl.

check() { return 255; }

depends() { echo base; }

install() {
  # shellcheck disable=SC2154 # dracut's
  local module="$moddir" root="$initdir"
  inst_multiple makedumpfile date sync dmesg mount mkdir mv sleep cat sed grep
  inst_simple /etc/kdump.conf
  inst_script "$module/capture.sh" /usr/bin/hangdump-capture
  echo "$TARGET_TYPE /dev/disk/by-uuid/$TARGET_UUID" >"$root/etc/dump-target"
  # dracut insists on a root= that some module knows.
  printf 'rootok=1\n' >"$root/lib/dracut/hooks/cmdline/90-hangdump-capture.sh"
  printf '[ -e "/dev/disk/by-uuid/%s" ]\n' "$TARGET_UUID" >"$root/lib/dracut/hooks/initqueue/finished/hangdump-capture.sh"
  printf '/usr/bin/hangdump-capture\n' >"$root/lib/dracut/hooks/pre-mount/10-hangdump-capture.sh"
  # The target never came: the script finds that out and obeys failure_action.
  printf '/usr/bin/hangdump-capture\n' >"$root/lib/dracut/hooks/initqueue/timeout/10-hangdump-capture.sh"
  mkdir -p "$root/etc/cmdline.d"
  echo 'rd.retry=60' >"$root/etc/cmdline.d/90-hangdump-capture.conf"
}
