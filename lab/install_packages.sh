#!/bin/bash
# Installs Debian packages: those named, and those listed in the files named. Without root it installs nothing and says
# what to do: AS_ROOT is the command that does it, and more.
set -euo pipefail

names_of() {
    local argument
    for argument in "$@"; do
        if [ -f "$argument" ]; then sed '/^#/d;/^$/d' "$argument"; else printf '%s\n' "$argument"; fi
    done
}

missing_of() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s\n' "$package"
    done
}

# apt prints a page, debconf a warning about apt-utils: both only matter when something fails.
quietly() {
    local log
    log="$(mktemp)"
    "$@" >"$log" 2>&1 || {
        cat "$log" >&2
        printf '%s failed. Is the network there, and no other apt running?\n' "$*" >&2
        exit 1
    }
    rm -f "$log"
}

main() {
    # First: the bash of a Mac has no mapfile.
    if ! command -v dpkg-query >/dev/null; then
        echo "The lab needs a Debian or Ubuntu host with these packages:" "$(names_of "$@" | tr '\n' ' ')" >&2
        exit 1
    fi
    local -a wanted missing
    mapfile -t wanted < <(names_of "$@")
    mapfile -t missing < <(missing_of "${wanted[@]}")
    [ "${#missing[@]}" -gt 0 ] || exit 0
    if [ "$(id -u)" -ne 0 ]; then
        printf 'Debian packages are missing that only root can install: %s.\n' "${missing[*]}" >&2
        printf 'Nothing is installed yet. Run this, then the same command again, which then needs no root:\n\n' >&2
        printf '    sudo %s\n\n' "${AS_ROOT:-apt-get install --no-install-recommends ${missing[*]}}" >&2
        exit 1
    fi
    echo "Installing Debian packages: ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    quietly apt-get update -qq
    quietly apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

main "$@"
