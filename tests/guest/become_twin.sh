#!/bin/bash
# Takes symbols, a Python with drgn and room for a dump from the disk that has them. $DISK_SERIAL is its serial.
set -euo pipefail
device=""
for _ in {1..60}; do
  device="$(lsblk -dno PATH,SERIAL | awk -v serial="$DISK_SERIAL" '$2 == serial { print $1 }')"
  [[ -z "$device" ]] || break
  sleep 0.5
done
mkdir -p /opt/twin /var/lib/hangdump/analysis/bin
mount "$device" /opt/twin
mount --bind /opt/twin/room /var/tmp
mkdir -p /usr/lib/debug
mount --bind /opt/twin/debug /usr/lib/debug
ln -sf /opt/twin/start /var/lib/hangdump/analysis/bin/python
