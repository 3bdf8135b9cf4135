#!/bin/bash
# Builds the guest's disk: build.sh WORK_DIR SOURCES_LIST APT_CONF RELEASE. Writes WORK_DIR/root.qcow2.
# Needs no loop device and no mount of its own: mke2fs -d fills the file system, so that a build that dies leaves
# nothing behind but files.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
readonly HERE
readonly DISK_SIZE=6G
readonly PARTITION_OFFSET=$((1024 * 1024))
readonly PARTITION_SIZE_KIB=$(((6 * 1024 - 2) * 1024))

say() { printf '==> %s\n' "$*"; }

package_list() { cat "$@" | sed -e 's/#.*//' -e '/^[[:space:]]*$/d' | paste -sd, -; }

install_packages() {
    local root=$1 sources=$2 apt_conf=$3 release=$4
    # force-unsafe-io: a build that is cut short is thrown away, so dpkg need not sync every file.
    # shellcheck disable=SC2016
    mmdebstrap --mode=root --variant=minbase --format=directory --quiet \
        --include="$(package_list "$HERE/packages.txt" "$HERE/releases/$release/packages.txt")" \
        --aptopt="$apt_conf" --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/grub/*.pf2' \
        --essential-hook='cp "$HANGDUMP_RECIPE/preseed" "$1/tmp/preseed"; chroot "$1" debconf-set-selections /tmp/preseed' \
        --customize-hook='"$HANGDUMP_RECIPE/offline_repository.sh" "$1"' \
        --customize-hook='"$HANGDUMP_RECIPE/configure.sh" "$1"' \
        --customize-hook='"$HANGDUMP_RECIPE/boot_sectors.sh" "$1"' \
        "$release" "$root" "$sources"
}

main() {
    local work=$1 sources=$2 apt_conf=$3 release=$4
    local root=$work/root disk=$work/disk.raw
    # `su` without `-` keeps a PATH without sbin, and of the caller's directories the chroot may have none.
    export PATH="$PATH:/usr/sbin:/usr/bin:/sbin:/bin"
    HANGDUMP_ROOT_UUID=$(cat /proc/sys/kernel/random/uuid)
    export HANGDUMP_ROOT_UUID HANGDUMP_DISK_SIZE=$DISK_SIZE HANGDUMP_RECIPE=$HERE DEBIAN_FRONTEND=noninteractive

    say "installing packages of Debian $release into $root"
    install_packages "$root" "$sources" "$apt_conf" "$release"
    "$HERE/seal.sh" "$root"

    say "writing the disk"
    mv "$root/var/tmp/disk.raw" "$disk"
    mke2fs -q -t ext4 -U "$HANGDUMP_ROOT_UUID" -L root -E "offset=$PARTITION_OFFSET,lazy_itable_init=1" \
        -O ^metadata_csum_seed -d "$root" "$disk" "${PARTITION_SIZE_KIB}k"
    qemu-img convert -f raw -O qcow2 "$disk" "$work/root.qcow2"
    rm -rf "$root" "$disk"
    say "done: $(du -h "$work/root.qcow2" | cut -f1)"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    main "$@"
fi
