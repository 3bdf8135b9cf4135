#!/bin/bash
# Last touch on the finished ROOT, after mmdebstrap has taken its own traces away: apt knows the offline repository only.
set -euo pipefail

main() {
    local root=$1
    rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/journal "$root"/etc/apt/sources.list.d/*
    rm -f "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/resolv.conf "$root"/tmp/preseed
    echo 'deb [trusted=yes] file:/opt/apt ./' > "$root/etc/apt/sources.list"
    mkdir -p "$root/var/lib/apt/lists/partial"
    # A fixed identity, which mmdebstrap has just removed: without, every boot of a fresh overlay is a first boot to systemd.
    chroot "$root" systemd-machine-id-setup 2> /dev/null
    chroot "$root" apt-get --quiet=2 update
    chroot "$root" apt-get --quiet=2 --simulate install kdump-tools makedumpfile > /dev/null
}

main "$@"
