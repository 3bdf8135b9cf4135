#!/bin/bash
# kdump on Debian as its manual says, without Hangdump's documents: what the lab's guest can do is tested apart from them.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

# The monitor says "plugged" before the guest has looked at its bus; the caller's deadline ends this loop.
until disk=$(lsblk --nodeps --noheadings --output NAME,SERIAL | awk -v serial="$DUMP_SERIAL" '$2 == serial { print "/dev/" $1 }') &&
    [[ -n "$disk" && -b "$disk" ]]; do
    sleep 0.2
done
mkfs.xfs -q -L HANGDUMP "$disk"
mkdir -p /var/crash
echo 'LABEL=HANGDUMP /var/crash xfs defaults,nofail,x-systemd.device-timeout=60s 0 2' >> /etc/fstab
systemctl daemon-reload
mount /var/crash

# Before the package, whose installation runs update-grub.
mkdir -p /etc/default/grub.d
echo 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=256M"' > /etc/default/grub.d/kdump-tools.cfg
echo 'kernel.unknown_nmi_panic = 1' > /etc/sysctl.d/99-kernel_panic.conf
apt-get update -qq
apt-get install -qq -y -o Dpkg::Options::=--force-confold kdump-tools makedumpfile
sed -i 's/^#\?MAKEDUMP_ARGS=.*/MAKEDUMP_ARGS="-l --message-level 7 -d 31"/' /etc/default/kdump-tools
mkdir -p /etc/systemd/system/kdump-tools-dump.service.d
printf '[Unit]\nWants=var-crash.mount\nAfter=var-crash.mount\n' \
    > /etc/systemd/system/kdump-tools-dump.service.d/wait-for-dump-volume.conf
