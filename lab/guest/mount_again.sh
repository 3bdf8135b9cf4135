#!/bin/sh
# Waits for the disk of VOLUME_ID and mounts MOUNT_POINT, as fstab says it, when there is one.
set -eu
serial=$(printf %s "$VOLUME_ID" | tr -d -)
tries=0
until lsblk --nodeps --noheadings --output SERIAL | grep -qx "$serial"; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || { echo "disk $serial did not appear" >&2; exit 1; }
    sleep 0.1
done
udevadm settle --timeout=30
[ -z "$MOUNT_POINT" ] || mountpoint -q "$MOUNT_POINT" || mount "$MOUNT_POINT"
