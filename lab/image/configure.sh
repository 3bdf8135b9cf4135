#!/bin/bash
# mmdebstrap hook: turns the installed packages into a host that boots quickly and resembles an EC2 instance.
set -euo pipefail

readonly HERE=$(cd "$(dirname "$0")" && pwd)

kernel_release() { basename "$1"/boot/vmlinuz-* | sed 's/^vmlinuz-//'; }

# Nothing here runs in the few minutes a guest lives but to take its two emulated processors away.
mask_housekeeping() {
    local root=$1 unit
    for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
        systemd-tmpfiles-clean.timer e2scrub_reap.service xfs_scrub_all.timer \
        systemd-networkd-wait-online.service systemd-pstore.service \
        systemd-journal-flush.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
        console-getty.service getty@tty1.service; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
}

main() {
    local root=$1 kernel
    kernel=$(kernel_release "$root")
    printf '==> configuring the guest (kernel %s)\n' "$kernel"
    cp -r "$HERE/files/." "$root/"
    sed -i "s/@ROOT_UUID@/$HANGDUMP_ROOT_UUID/g; s/@KERNEL@/$kernel/g" "$root/etc/fstab" "$root/boot/grub/grub.cfg"
    # A saved VM state needs a root on virtio (QEMU cannot migrate NVMe). In this initrd only, not in those that the guest
    # builds: every listed module costs a second of mkinitramfs under TCG.
    printf 'virtio_pci\nvirtio_blk\n' > "$root/etc/initramfs-tools/modules"
    # The package built one before these settings were there, and update-initramfs obeys update_initramfs=no.
    chroot "$root" mkinitramfs -o "/boot/initrd.img-$kernel" "$kernel" >&2
    : > "$root/etc/initramfs-tools/modules"
    chroot "$root" systemctl --quiet enable systemd-networkd.service serial-getty@ttyS0.service >&2
    mask_housekeeping "$root"
    # A fixed identity: an empty machine-id makes systemd treat every boot of a fresh overlay as a first boot.
    chroot "$root" systemd-machine-id-setup >&2
    # Debian runs these only for graphical menus, other systems and Xen; each costs seconds of update-grub under TCG.
    chmod -x "$root"/etc/grub.d/{05_debian_theme,20_linux_xen,30_os-prober,30_uefi-firmware}
    chroot "$root" passwd --quiet --delete root
}

main "$@"
