#!/bin/bash
# mmdebstrap hook: turns the installed packages into a host that boots quickly and resembles an EC2 instance.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
readonly HERE

kernel_release() { basename "$1"/boot/vmlinuz-* | sed 's/^vmlinuz-//'; }

# Nothing here does more in the few minutes that a guest lives than take its two emulated processors away; each unit is a
# process or two at every boot, that of the crash kernel included.
mask_housekeeping() {
    local root=$1 unit
    for unit in dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
        sys-fs-fuse-connections.mount sys-kernel-config.mount proc-sys-fs-binfmt_misc.automount systemd-binfmt.service \
        modprobe@.service kmod-static-nodes.service systemd-network-generator.service systemd-logind.service \
        apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
        systemd-tmpfiles-clean.timer e2scrub_reap.service xfs_scrub_all.timer \
        systemd-networkd-wait-online.service systemd-pstore.service \
        systemd-journal-flush.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
        console-getty.service getty@tty1.service; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
}

main() {
    local root=$1 kernel
    # shellcheck disable=SC1091 # of either architecture
    source "$HANGDUMP_ARCHITECTURE/consoles.sh"
    kernel=$(kernel_release "$root")
    printf '==> configuring the guest (kernel %s)\n' "$kernel"
    cp -r "$HERE/files/." "$root/"
    sed -i "s/@ROOT_UUID@/$HANGDUMP_ROOT_UUID/g; s/@KERNEL@/$kernel/g; s/@KERNEL_ARGUMENTS@/$KERNEL_ARGUMENTS/g
        s/@GRUB_TERMINAL@/$GRUB_TERMINAL/g" "$root/etc/fstab" "$root/etc/default/grub" "$root/boot/grub/grub.cfg"
    # No device mapper and no fan on the way to the root.
    chmod -x "$root"/usr/share/initramfs-tools/hooks/{dmsetup,thermal}
    # A saved VM state needs a root on virtio (QEMU cannot migrate NVMe). In this initrd only, not in those that the guest
    # builds: every listed module costs a second of mkinitramfs under TCG.
    printf 'virtio_pci\nvirtio_blk\n' > "$root/etc/initramfs-tools/modules"
    chroot "$root" mkinitramfs -o "/boot/initrd.img-$kernel" "$kernel" >&2
    : > "$root/etc/initramfs-tools/modules"
    chroot "$root" systemctl --quiet enable systemd-networkd.service "serial-getty@$SERIAL_PORT.service" >&2
    mask_housekeeping "$root"
    # Debian runs these only for graphical menus, other systems and Xen; each costs seconds of update-grub under TCG.
    chmod -x "$root"/etc/grub.d/{05_debian_theme,20_linux_xen,30_os-prober,30_uefi-firmware}
    chroot "$root" passwd --quiet --delete root
}

main "$@"
