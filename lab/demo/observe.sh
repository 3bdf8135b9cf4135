#!/bin/sh
# Runs in the guest: release, the dump volume's file system, bytes reserved for the crash kernel, KiB of other memory,
# whether sysctl.d hardens it, and where the dump volume is.
set -eu
. /etc/os-release
echo "$VERSION_CODENAME"
parked=/etc/hangdump/parked
if [ -e "$parked" ]; then cut -d ' ' -f 3 "$parked"; else findmnt --noheadings --output FSTYPE --mountpoint /var/crash; fi
cat /sys/kernel/kexec_crash_size
sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo
if [ "$(cat /proc/sys/vm/nr_hugepages)" -gt 0 ] && [ "$(cat /proc/sys/kernel/sysrq)" -eq 0 ]; then echo yes; else echo no; fi
if [ -e "$parked" ] && ! mountpoint -q /var/crash; then echo parked; else echo attached; fi
