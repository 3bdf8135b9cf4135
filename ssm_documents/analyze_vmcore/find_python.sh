#!/bin/bash
# Finds a Python with drgn: the host's own, or one in a new virtual environment, with a newer Python of the distribution if the
# host's is too old or cannot make one.
ENVIRONMENT=/var/lib/hangdump/analysis
PYTHONS=(python3 python3.13 python3.12 python3.11)

has_drgn() { "$1" -c 'import sys, drgn; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Lists the allowed files by their SHA-256; it came with the analysis code, by a presigned URL.
REQUIREMENTS=analysis/host_requirements.txt

install_drgn() {
  local python="$1" archive="$2" unpacked="$WORK_DIR/bundle"
  "$python" -m zipfile -e "$archive" "$unpacked" &&
    "$python" -m pip install --quiet --only-binary :all: --require-hashes --requirement "$unpacked/$REQUIREMENTS"
}

make_environment() {
  local made="$1" candidate
  for candidate in "${PYTHONS[@]}"; do
    rm -rf "$made"
    if is_new_enough "$candidate" && "$candidate" -m venv "$made"; then return 0; fi
  done
  return 1
}

# Debian's python3 makes no environment without python3-venv. RHEL 9, Amazon Linux 2023 and SLES 15 package a newer Python beside
# their own. A host that has just booted may still install its updates: each of the three waits for its lock.
install_python() {
  local name
  if command -v apt-get >/dev/null; then
    detached timeout 600 env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 update
    detached timeout 600 env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 install python3-venv
  elif command -v dnf >/dev/null; then
    for name in python3.12 python3.11; do
      if detached timeout 600 dnf -y -q install "$name" "$name-pip"; then return 0; fi
    done
    return 1
  elif command -v zypper >/dev/null; then
    detached timeout 600 env ZYPP_LOCK_TIMEOUT=300 zypper --non-interactive install --no-recommends python311 python311-pip
  else
    return 1
  fi
}

find_python() {
  local archive="$1" candidate made="$HOST_ROOT$ENVIRONMENT"
  for candidate in "$made/bin/python" "${PYTHONS[@]}"; do
    if has_drgn "$candidate"; then PYTHON="$candidate" && return 0; fi
  done
  if ! make_environment "$made"; then
    if ! install_python >&2 || ! make_environment "$made"; then
      fail PackageUnavailable "This host has no Python from 3.11 that makes a virtual environment, and its distribution gave none. Install one, or drgn, with the package manager, and run again."
    fi
  fi
  if install_drgn "$made/bin/python" "$archive" && has_drgn "$made/bin/python"; then
    PYTHON="$made/bin/python" && return 0
  fi
  fail PackageUnavailable "pip could not install drgn with the digests in $REQUIREMENTS. Install drgn with the package manager, and run again."
}
