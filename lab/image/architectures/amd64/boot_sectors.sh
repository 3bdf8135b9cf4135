#!/bin/bash
# mmdebstrap hook: partition table and grub's first sectors on ROOT/var/tmp/disk.raw, which build.sh then fills.
# Done with the guest's own sfdisk and grub, by copying boot.img and core.img where the BIOS expects them:
# grub-install would want a block device that it can recognise, hence loop devices and mounts.
set -euo pipefail

main() {
    local root=$1
    local disk=$root/var/tmp/disk.raw grub=$root/boot/grub/i386-pc
    printf '==> installing the boot loader\n'
    truncate -s 6G "$disk"
    printf 'label: dos\nstart=2048, type=83, bootable\n' | chroot "$root" sfdisk --quiet /var/tmp/disk.raw >&2
    mkdir -p "$grub"
    cp "$root"/usr/lib/grub/i386-pc/*.{mod,lst,img} "$grub/"
    chroot "$root" grub-mkimage --format i386-pc --prefix '(hd0,msdos1)/boot/grub' --output /boot/grub/i386-pc/core.img \
        biosdisk part_msdos ext2
    # 440 bytes: behind them the disk signature and the partition table of the first sector.
    dd if="$grub/boot.img" of="$disk" bs=440 count=1 conv=notrunc status=none
    # boot.img loads sector 1, and core.img expects the rest of itself from sector 2: both are grub's defaults.
    dd if="$grub/core.img" of="$disk" bs=512 seek=1 conv=notrunc status=none
}

main "$@"
