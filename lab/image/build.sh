#!/bin/bash
# Builds the guest's disk: build.sh WORK_DIR SOURCES_LIST APT_CONF RELEASE ARCHITECTURE. Writes WORK_DIR/root.qcow2.
# Needs no loop device and no mount of its own: mke2fs -d fills the file system, so that a build that dies leaves
# nothing behind but files.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
readonly HERE
# The root's partition, in the disk that boot_sectors.sh makes.
readonly PARTITION_OFFSET=$((1024 * 1024))
readonly PARTITION_SIZE_KIB=$(((6 * 1024 - 2) * 1024))

say() { printf '==> %s\n' "$*"; }

package_list() { cat "$@" | sed -e 's/#.*//' -e '/^[[:space:]]*$/d' | paste -sd, -; }

# Lets this kernel run the image's programs. The flag F gives the emulator to processes of a chroot, O and C give it the
# program's own file and its rights. Since Linux 6.7 it ends with the mount, so with the build's mount namespace; before,
# it is the whole machine's until it is taken back.
register_emulator() {
    local binfmt=/proc/sys/fs/binfmt_misc
    if [[ ! -e $binfmt/register ]]; then mount -t binfmt_misc binfmt_misc "$binfmt"; fi
    if [[ -e $binfmt/qemu-aarch64 ]]; then return 0; fi
    sed 's/:[A-Z]*$/:OPCF/' /usr/lib/binfmt.d/qemu-aarch64.conf > "$binfmt/register"
    # shellcheck disable=SC2064 # expanded now: the variable is local
    trap "echo -1 > $binfmt/qemu-aarch64" EXIT
}

install_packages() {
    local root=$1 sources=$2 apt_conf=$3 release=$4 architecture=$5
    # force-unsafe-io: a build that is cut short is thrown away, so dpkg need not sync every file.
    # shellcheck disable=SC2016
    mmdebstrap --mode=root --variant=minbase --format=directory --quiet --architectures="$architecture" \
        --include="$(package_list "$HERE"/{,"releases/$release/","architectures/$architecture/"}packages.txt)" \
        --aptopt="$apt_conf" --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/grub/*.pf2' \
        --essential-hook='cp "$HANGDUMP_RECIPE/preseed" "$1/tmp/preseed"; chroot "$1" debconf-set-selections /tmp/preseed' \
        --customize-hook='"$HANGDUMP_RECIPE/offline_repository.sh" "$1"' \
        --customize-hook='"$HANGDUMP_RECIPE/configure.sh" "$1"' \
        --customize-hook='"$HANGDUMP_ARCHITECTURE/boot_sectors.sh" "$1"' \
        "$release" "$root" "$sources"
}

main() {
    local work=$1 sources=$2 apt_conf=$3 release=$4 architecture=$5
    local root=$work/root disk=$work/disk.raw
    # `su` without `-` keeps a PATH without sbin, and of the caller's directories the chroot may have none.
    export PATH="$PATH:/usr/sbin:/usr/bin:/sbin:/bin"
    HANGDUMP_ROOT_UUID=$(cat /proc/sys/kernel/random/uuid)
    export HANGDUMP_ROOT_UUID HANGDUMP_RECIPE=$HERE DEBIAN_FRONTEND=noninteractive
    export HANGDUMP_ARCHITECTURE=$HERE/architectures/$architecture
    # For the kernel's package: configure.sh makes the initrd, once its settings are there.
    export INITRD=No
    if [[ $architecture == arm64 && $(uname -m) != aarch64 ]]; then register_emulator; fi

    say "installing packages of Debian $release ($architecture) into $root"
    install_packages "$root" "$sources" "$apt_conf" "$release" "$architecture"
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
