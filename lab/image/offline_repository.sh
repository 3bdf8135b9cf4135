#!/bin/bash
# mmdebstrap hook: downloads what a kdump set-up installs, with dependencies, into ROOT/opt/apt, a flat apt repository.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
readonly HERE

# A Packages stanza is the package's own control fields plus where it is; dpkg-scanpackages and apt-ftparchive would
# each need a package that the host may not have.
print_stanza() {
    local deb=$1
    dpkg-deb --field "$deb"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' \
        "$(basename "$deb")" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
}

main() {
    local root=$1 deb
    local -a packages
    mapfile -t packages < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$HERE/offline_packages.txt")
    printf '==> downloading %s for the offline repository\n' "${packages[*]}"
    mkdir -p "$root/opt/apt"
    chroot "$root" apt-get install --quiet=2 --yes --no-install-recommends --download-only \
        -o Dir::Cache::archives=/opt/apt "${packages[@]}" >&2
    rm -rf "$root/opt/apt/partial" "$root/opt/apt/lock"
    for deb in "$root"/opt/apt/*.deb; do
        print_stanza "$deb"
    done > "$root/opt/apt/Packages"
}

main "$@"
