#!/bin/bash
# Owns the installation of packages on Debian and Ubuntu.
# shellcheck disable=SC2317,SC2329 # called by name, through family(); not every document calls every function

# apt locks with fcntl, which flock(1) cannot wait for: try again while another one holds them, five minutes at most.
# The output goes to a file: a service that a package starts may keep a pipe open for ever.
debian_apt_get() {
  local attempt
  for ((attempt = 0; attempt < 60; attempt++)); do
    if DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 UCF_FORCE_CONFFOLD=1 detached apt-get -q -y -o DPkg::Lock::Timeout=60 \
      -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" \
      >"$WORK_DIR/apt" 2>&1; then
      return 0
    fi
    if grep -qi 'dpkg was interrupted' "$WORK_DIR/apt"; then
      DEBIAN_FRONTEND=noninteractive detached dpkg --configure -a || return 1
    elif ! grep -Eqi 'could not get lock|unable to (lock|acquire)' "$WORK_DIR/apt"; then
      return 1
    fi
    sleep 5
  done
  return 1
}

# The lists may be old (a package version that is gone) or not there yet: only then is an update worth its minute.
debian_install() {
  if debian_apt_get install "$@"; then return 0; fi
  if debian_apt_get update && debian_apt_get install "$@"; then return 0; fi
  package_unavailable "$*" "$WORK_DIR/apt"
}

debian_install_tool() {
  case "$1" in
    mkfs.xfs) debian_install xfsprogs ;;
    mkfs.ext4) debian_install e2fsprogs ;;
    *) debian_install fdisk ;;
  esac
}

# The names of all packages that are installed.
debian_packages() { dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' | sed -n 's/^ii *//p'; }

# dpkg removes nothing that another package needs; apt-get would remove that package too. It waits for no lock.
debian_remove_packages() {
  local attempt
  for ((attempt = 0; attempt < 60; attempt++)); do
    if DEBIAN_FRONTEND=noninteractive detached dpkg --purge "$@" >"$WORK_DIR/dpkg" 2>&1; then return 0; fi
    if ! grep -qi 'lock' "$WORK_DIR/dpkg"; then break; fi
    sleep 5
  done
  cat "$WORK_DIR/dpkg"
  return 1
}

# kdump-tools makes the initrd by mkinitramfs, and none without it: with dracut, as of Ubuntu 25.10, it need not be there.
debian_for_kdump() { "$@" kdump-tools makedumpfile initramfs-tools-core; }

debian_has_packages() { [[ "$(debian_for_kdump dpkg-query -W -f "\${Status}\n" 2>&1 | sort -u)" == "install ok installed" ]]; }

debian_install_kdump() {
  local more=()
  if debian_has_packages; then return 0; fi
  # kexec-tools must not take part in ordinary reboots.
  printf '%s\n' "kdump-tools kdump-tools/use_kdump boolean true" "kexec-tools kexec-tools/load_kexec boolean false" | debconf-set-selections
  # Ubuntu's own name for the set; Debian has none of it.
  if [[ -n "$(apt-cache search --names-only '^linux-crashdump$' 2>/dev/null)" ]]; then more=(linux-crashdump); fi
  debian_for_kdump debian_install "${more[@]}"
  note_change "package kdump-tools"
}
