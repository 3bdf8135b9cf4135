#!/bin/bash
# Runs in the guest: puts the dump volume in a format that the host reads without mounting it, sets what turns the trouble
# into a panic, and leaves the module ready. The caller's SETTINGS are of the form "kernel.softlockup_panic=1 …", by path where
# they are no sysctl.
set -euo pipefail
disk=$(findmnt --noheadings --output SOURCE /var/crash)
umount /var/crash
mkfs.ext4 -q -F -L HANGDUMP "$disk"
sed -i 's|^LABEL=HANGDUMP .*|LABEL=HANGDUMP /var/crash ext4 defaults,nofail,x-systemd.device-timeout=60s 0 0|' /etc/fstab
systemctl daemon-reload
mount "$disk" /var/crash
for setting in $SETTINGS; do
    case $setting in
        /*) echo "${setting#*=}" > "${setting%%=*}" ;;
        *) sysctl --quiet --write "$setting" ;;
    esac
done
base64 --decode <<< "$MODULE" | gzip --decompress > /root/hangdump_crash.ko
sync
