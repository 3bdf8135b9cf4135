#!/bin/bash
# mmdebstrap hook: partition table and EFI system partition on ROOT/var/tmp/disk.raw, which build.sh then fills. The root is
# the first partition, where build.sh expects it.
# The firmware starts /EFI/BOOT/BOOTAA64.EFI of any disk, so grub-install and its boot entry are not needed.
set -euo pipefail

readonly ESP_START_MIB=6144 ESP_SIZE_MIB=32

main() {
    local root=$1
    local disk=$root/var/tmp/disk.raw grub=$root/boot/grub/arm64-efi
    local esp=$disk@@${ESP_START_MIB}M
    printf '==> installing the boot loader\n'
    # One MiB more for the copy of the partition table at the end.
    truncate -s "$((ESP_START_MIB + ESP_SIZE_MIB + 1))M" "$disk"
    printf 'label: gpt\nstart=1MiB, size=%sMiB, type=linux\nstart=%sMiB, size=%sMiB, type=uefi\n' \
        $((ESP_START_MIB - 1)) $ESP_START_MIB $ESP_SIZE_MIB | chroot "$root" sfdisk --quiet /var/tmp/disk.raw >&2
    mkdir -p "$grub"
    cp "$root"/usr/lib/grub/arm64-efi/*.{mod,lst} "$grub/"
    # By its UUID: the firmware may find the dump volume first.
    # shellcheck disable=SC2016 # for grub
    printf 'search.fs_uuid %s root\nset prefix=($root)/boot/grub\n' "$HANGDUMP_ROOT_UUID" > "$grub/load.cfg"
    chroot "$root" grub-mkimage --format arm64-efi --prefix /boot/grub --config /boot/grub/arm64-efi/load.cfg \
        --output /boot/grub/arm64-efi/core.efi part_gpt ext2 search_fs_uuid normal
    # FAT16, by its size.
    mformat -i "$esp" -T $((ESP_SIZE_MIB * 2048)) -h 64 -s 32 -c 4 -v EFI ::
    mmd -i "$esp" ::/EFI ::/EFI/BOOT
    mcopy -i "$esp" "$grub/core.efi" ::/EFI/BOOT/BOOTAA64.EFI
}

main "$@"
