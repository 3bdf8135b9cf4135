#!/bin/bash
# Installs the Debian packages named (default: those of lab/debian-packages.txt) when run as root; otherwise says exactly
# what to install and stops.
set -euo pipefail

missing_of() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s\n' "$package"
    done
}

main() {
    local -a wanted missing
    wanted=("$@")
    [ "$#" -gt 0 ] || mapfile -t wanted < <(sed '/^#/d;/^$/d' "$(dirname "$0")/debian-packages.txt")
    if ! command -v dpkg-query >/dev/null; then
        echo "The lab needs a Debian or Ubuntu host with these packages: ${wanted[*]}" >&2
        exit 1
    fi
    mapfile -t missing < <(missing_of "${wanted[@]}")
    [ "${#missing[@]}" -gt 0 ] || exit 0
    if [ "$(id -u)" -ne 0 ]; then
        printf 'Packages are missing that only root can install. Run this, then try again:\n\n' >&2
        printf '    sudo apt-get install --no-install-recommends %s\n\n' "${missing[*]}" >&2
        exit 1
    fi
    echo "Installing Debian packages: ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

main "$@"
