#!/bin/bash
# Facts about disks, mounts and fstab. Reads only /sys and /proc: device names change at every boot.

# major:minor of the last device mounted at mount point $1, or nothing.
mounted_device() {
  awk -v point="$1" '$5 == point { device = $3 } END { if (device) print device }' "$HOST_ROOT/proc/self/mountinfo"
}

is_mounted() { [[ -n "$(mounted_device "$1")" ]]; }

# With nofail the boot continues up to the agent that runs this, while systemd still waits for the volume, up to a minute
# by fstab. Wait as long as systemd does.
wait_for_mount() {
  local attempt unit
  unit="$(mount_unit "$1")"
  for ((attempt = 0; attempt < 60; attempt++)); do
    if is_mounted "$1" || ! systemctl list-jobs 2>/dev/null | grep -F " $unit " >/dev/null; then return 0; fi
    sleep 2
  done
}

is_mounted_read_only() {
  awk -v point="$1" '$5 == point { options = $6 "," $NF } END { exit !("," options "," ~ /,ro,/) }' "$HOST_ROOT/proc/self/mountinfo"
}

# What is written beside such an image is refused, or gone after its next update.
refuse_read_only_root() {
  local point reason=""
  for point in / /etc /usr /boot; do
    if is_mounted_read_only "$point"; then reason="$point is mounted read-only"; fi
  done
  if [[ -e "$HOST_ROOT/run/ostree-booted" ]]; then reason="ostree manages its root"; fi
  [[ -z "$reason" ]] || fail ReadOnlyRoot "Nothing here can be configured: $reason. Build kdump into the image, or take one with a writable root."
}

# Whether the last mount at $1 has every option of the list $2.
has_mount_options() {
  awk -v point="$1" -v wanted="$2" '
    $5 == point { options = "," $6 "," }
    END { count = split(wanted, names, ","); for (i = 1; i <= count; i++) if (!index(options, "," names[i] ",")) exit 1 }' "$HOST_ROOT/proc/self/mountinfo"
}

# The mount points of the device with major:minor $1, one per line.
mount_points_of() { awk -v device="$1" '$3 == device { print $5 }' "$HOST_ROOT/proc/self/mountinfo"; }

# 259:3 -> nvme1n1, the whole disk, also if 259:3 is a partition of it.
disk_of_device() {
  local file
  for file in "$HOST_ROOT"/sys/block/*/dev "$HOST_ROOT"/sys/block/*/*/dev; do
    if [[ -f "$file" && "$(cat "$file")" == "$1" ]]; then
      file="${file#"$HOST_ROOT/sys/block/"}"
      echo "${file%%/*}"
      return
    fi
  done
}

serial_of_disk() { { tr -d ' \0\n' <"$HOST_ROOT/sys/block/$1/device/serial"; } 2>/dev/null || true; }

# The EBS volume vol-0123… is the NVMe disk with serial vol0123… (multipath puts hidden nvme0c0n1 nodes beside it).
disk_with_serial() {
  local path disk
  for path in "$HOST_ROOT"/sys/block/*; do
    disk="${path##*/}"
    if [[ ! "$disk" =~ c[0-9]+n && "$(serial_of_disk "$disk")" == "$1" ]]; then echo "$disk"; fi
  done
}

# $1 without symbolic links.
real_path() {
  local path root
  path="$(readlink -m "$HOST_ROOT$1")" root="$(readlink -m "$HOST_ROOT/")"
  echo "${path#"${root%/}"}"
}

# The lines of fstab for mount point $1, without comments. As for mount(8), /var//crash/ is /var/crash.
fstab_lines() {
  awk -v point="$1/" '$1 !~ /^#/ { path = $2 "/"; gsub(/\/(\.?\/)+/, "/", path); if (path == point) print }' \
    "$HOST_ROOT/etc/fstab" 2>/dev/null || true
}

# From lines of fstab on stdin: those without Hangdump's mark.
foreign_lines() { awk '$1 ~ /^#/ || $4 !~ /(^|,)x-hangdump(,|$)/'; }

mount_unit() { systemd-escape --path --suffix=mount "$1"; }

# These paths hold the system itself: a volume mounted there would hide it. The kernel shows a mount by its real path.
check_mount_point() {
  local path real
  real="$(real_path "$1")"
  for path in "$1" "$real"; do
    case "$path" in
      / | /bin | /boot | /boot/* | /dev | /dev/* | /etc | /etc/* | /home | /lib | /lib64 | /proc | /proc/* | /root | /run | /run/* | /sbin | \
        /sys | /sys/* | /tmp | /usr | /usr/* | /var | /var/lib | /var/log)
        fail InvalidParameter "mountPoint $1 belongs to the system; choose a directory of its own, such as /var/crash."
        ;;
    esac
  done
  [[ "$real" == "$1" ]] || fail InvalidParameter "mountPoint $1 leads through a symbolic link, so the kernel shows $real. Run again with mountPoint $real."
}

# All that is no directory, but for what kdump itself leaves beside dumps, without a dump's value. False if it cannot be read.
files_on() {
  { find "$HOST_ROOT$1" -xdev -mindepth 1 ! -type d ! -path "*/lost+found/*" ! -name kexec_cmd ! -name kdump_lock || return 1; } |
    sed "s|^$HOST_ROOT$1/||" | sort
}
