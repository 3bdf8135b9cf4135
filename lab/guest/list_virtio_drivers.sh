#!/bin/sh
# For a root on virtio: MODULES=list puts into an initrd what this file lists.
set -eu
printf 'virtio_pci\nvirtio_blk\n' >> /etc/initramfs-tools/modules
