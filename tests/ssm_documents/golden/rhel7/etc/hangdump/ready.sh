#!/bin/sh
# Written by Hangdump.
[ "$(cat /sys/kernel/kexec_crash_loaded)" = 1 ] || exit 0
config="$(cat /etc/kdump.conf /etc/sysconfig/kdump /etc/sysctl.d/99-kernel_panic.conf 2>/dev/null | sha256sum | cut -c 1-16)"
line="hangdump-ready boot=$(cat /proc/sys/kernel/random/boot_id) kernel=$(uname -r) config=$config at=$(date +%s) up=$(cut -d. -f1 /proc/uptime)"
for tty in $(cat /sys/class/tty/console/active || echo console); do echo "$line" >/dev/$tty; done
