#!/bin/bash
# Owns packages on the RHEL-like family: dnf or yum, and the locks of others, which are waited for.
# shellcheck disable=SC2317,SC2329 # called by name, through family(); not every document calls every function

redhat_package_manager() { command -v dnf || command -v yum; }

# Both would wait for another one's lock for ever; told not to, they say so and leave (dnf5 always does). Five minutes at most.
redhat_dnf() {
  local attempt tool
  tool="$(redhat_package_manager)"
  for ((attempt = 0; attempt < 60; attempt++)); do
    if detached "$tool" -y -q --setopt=exit_on_lock=1 "$@" >"$WORK_DIR/dnf" 2>&1; then return 0; fi
    grep -Eqi 'already locked by|holding the [a-z]+ lock|transaction lock|[.]rpm[.]lock' "$WORK_DIR/dnf" || return 1
    sleep 5
  done
  fail PackageUnavailable "Another process kept ${tool##*/}'s lock for five minutes: $(tail -n 2 "$WORK_DIR/dnf"). Let it end, and run again."
}

# Metadata may be old (a package version that is gone): only then is fetching it worth its minute.
redhat_install() {
  if redhat_dnf install "$@"; then return 0; fi
  if redhat_dnf clean expire-cache && redhat_dnf install "$@"; then return 0; fi
  package_unavailable "$*" "$WORK_DIR/dnf"
}

redhat_install_tool() {
  case "$1" in
    mkfs.xfs) redhat_install xfsprogs ;;
    mkfs.ext4) redhat_install e2fsprogs ;;
    # There already, but asked for all the same: one that knows no GPT (util-linux before 2.26, EL7).
    *) if command -v sfdisk >/dev/null; then redhat_install gdisk; else redhat_install util-linux; fi ;;
  esac
}

# The names of all packages that are installed.
redhat_packages() { rpm -qa --qf '%{NAME}\n'; }

# rpm removes nothing that another package needs; dnf would remove that package too.
redhat_remove_packages() { detached rpm -e "$@"; }

redhat_has_kdump() { command -v kdumpctl >/dev/null && command -v makedumpfile >/dev/null; }

# kdumpctl left kexec-tools for kdump-utils in EL10 and Fedora; which of them has it is what the repositories say.
redhat_install_kdump() {
  local packages=(kexec-tools)
  if redhat_has_kdump; then return 0; fi
  if redhat_dnf list kdump-utils 2>/dev/null; then packages=(kdump-utils makedumpfile); fi
  redhat_install "${packages[@]}"
  if ! command -v makedumpfile >/dev/null; then redhat_install makedumpfile; fi
  redhat_has_kdump || fail PackageUnavailable "${packages[*]} is installed, but there is no kdumpctl or no makedumpfile on PATH. Install what has them, and run again."
  note_change "package ${packages[0]}"
}
