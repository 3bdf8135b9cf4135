#!/bin/bash
# Builds a real root: build.sh WORK_DIR LAB_IMAGE RELEASE, with sources.list and apt.conf in WORK_DIR. Writes
# WORK_DIR/tree. The packages and the offline repository are those of the lab's guest, without what makes that boot faster.
set -euo pipefail

package_list() { cat "$@" | sed -e 's/#.*//' -e '/^[[:space:]]*$/d' | paste -sd, -; }

main() {
    local work=$1 recipe=$2 release=$3 kernel
    local root=$work/tree
    # Without the initrd of ordinary boots, a minute's work that nothing here looks into; its name is what update-grub wants.
    export RECIPE=$recipe INITRD=No
    # shellcheck disable=SC2016 # for the shell of the hooks
    mmdebstrap --mode=root --variant=minbase --format=directory --quiet \
        --include="$(package_list "$recipe"/{,"releases/$release/",architectures/amd64/}packages.txt)" \
        --aptopt="$work/apt.conf" --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --essential-hook='cp "$RECIPE/preseed" "$1/tmp/preseed"; chroot "$1" debconf-set-selections /tmp/preseed' \
        --customize-hook='"$RECIPE/offline_repository.sh" "$1"' \
        "$release" "$root" "$work/sources.list"
    "$recipe/seal.sh" "$root"
    for kernel in "$root"/boot/vmlinuz-*; do : >"${kernel/vmlinuz/initrd.img}"; done
    mkdir -p "$root/boot/grub"
}

main "$@"
