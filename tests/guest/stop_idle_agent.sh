#!/bin/bash
# Runs in the guest: the agent freezes on a machine that is well and has nothing to write. Its disks were read-only for two
# pings before: no write after the last ping shows that it works.
umount /var/crash
sync
echo u > /proc/sysrq-trigger
sleep "$SECONDS_BEFORE"
systemctl mask --runtime qemu-guest-agent
exec pkill --signal STOP -x qemu-ga
