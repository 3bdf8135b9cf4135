#!/bin/bash
# Runs in the lab's guest, once: afterwards it looks like a RHEL-like host of the way before BLS, to whoever goes by files
# and tools. FILES is files/ as a tar archive in base64. No package of kdump is installed: the documents do that.
set -euo pipefail

# GRUB's first stage looks in /boot/grub; all that it finds there now is the way to the file that grub2-mkconfig writes.
boot_from_grub2() {
    mkdir -p /boot/grub2
    mv /boot/grub/grub.cfg /boot/grub2/grub.cfg
    sed -n '/^search/p' /boot/grub2/grub.cfg > /boot/grub/grub.cfg
    echo 'configfile /boot/grub2/grub.cfg' >> /boot/grub/grub.cfg
    mv /usr/sbin/grub-mkconfig /usr/sbin/grub2-mkconfig
    rm /usr/sbin/update-grub
}

main() {
    base64 --decode <<< "$FILES" | tar --extract --gzip --directory / --no-same-owner --keep-directory-symlink
    rm /etc/debian_version
    boot_from_grub2
    # What systemctl and mkinitramfs leave to Debian's own hooks is of no use here.
    rm -f /etc/kernel/postinst.d/initramfs-tools
    apt-get --quiet=2 update
}

main "$@"
