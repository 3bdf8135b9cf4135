#!/bin/bash
# Finds a Python with drgn: the host's own, or one in a new virtual environment.
ENVIRONMENT=/var/lib/hangdump/analysis

has_drgn() { "$1" -c 'import sys, drgn; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Lists the allowed files by their SHA-256; it came with the analysis code, by a presigned URL.
REQUIREMENTS=analysis/host_requirements.txt

install_drgn() {
  local python="$1" archive="$2" unpacked="$WORK_DIR/bundle"
  "$python" -m zipfile -e "$archive" "$unpacked" &&
    "$python" -m pip install --quiet --only-binary :all: --require-hashes --requirement "$unpacked/$REQUIREMENTS"
}

find_python() {
  local archive="$1" candidate made="$HOST_ROOT$ENVIRONMENT"
  for candidate in "$made/bin/python" python3 python3.13 python3.12 python3.11; do
    if has_drgn "$candidate"; then PYTHON="$candidate" && return 0; fi
  done
  for candidate in python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      rm -rf "$made"
      if "$candidate" -m venv "$made" && install_drgn "$made/bin/python" "$archive" && has_drgn "$made/bin/python"; then
        PYTHON="$made/bin/python" && return 0
      fi
    fi
  done
  fail PackageUnavailable "This host has no Python from 3.11 with drgn, and pip could not install drgn with the digests in $REQUIREMENTS. Install drgn with the package manager, and run again."
}
