#!/bin/sh
# Unmounts the file system on the NVMe disk of VOLUME_ID, prints where it was mounted. Files of the kdump service may keep
# it busy for a moment only: nothing holds one open.
set -eu
serial=$(printf %s "$VOLUME_ID" | tr -d -)
disk=$(lsblk --nodeps --noheadings --output NAME,SERIAL | awk -v serial="$serial" '$2 == serial { print $1 }')
mount_point=$(lsblk --noheadings --output MOUNTPOINT "/dev/$disk" | grep / || true)
[ -z "$mount_point" ] || umount "$mount_point"
printf '%s\n' "$mount_point"
