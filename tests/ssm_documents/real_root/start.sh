#!/bin/bash
# Starts a real root: start.sh DUMP_VOLUME TREES CHANGES STAGE, the first a file. Ends when its stdin is closed, and leaves no loop
# device behind, even if the test that started it was killed.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
readonly HERE

main() {
    local volume=$1 trees=$2 changes=$3 stage=$4 device root
    # What ends the test by a signal to its group, as Ctrl-C does, must not end this before it has detached the devices.
    trap '' HUP INT TERM
    mkdir -p "$changes"
    # mkinitramfs reads the superblock of the device that / is said to be on, and believes nothing else.
    mke2fs -q -F -t ext4 "$changes/superblock" 64M >/dev/null
    root=$(losetup --find --show "$changes/superblock")
    device=$(losetup --find --partscan --show "$volume")
    # A kernel without GPT needs to be told of partitions; another one has found them.
    partx --add "$device" 2>/dev/null || true
    unshare --mount --pid --net --uts --ipc --fork --kill-child --propagation private -- \
        "$HERE/enter.sh" "$trees" "$changes" "$root" "$device" "$stage" || true
    losetup --detach "$root" "$device"
}

main "$@"
