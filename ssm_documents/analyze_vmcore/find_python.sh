#!/bin/bash
# Owns which Python reads the dump: one that has drgn, the host's own or one in an environment that is made for it.
DRGN=drgn==0.3.0
ENVIRONMENT=/var/lib/hangdump/analysis

has_drgn() { "$1" -c 'import sys, drgn; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local candidate made="$HOST_ROOT$ENVIRONMENT"
  for candidate in "$made/bin/python" python3 python3.13 python3.12 python3.11; do
    if has_drgn "$candidate"; then PYTHON="$candidate" && return 0; fi
  done
  for candidate in python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      rm -rf "$made"
      if "$candidate" -m venv "$made" && "$made/bin/pip" install --quiet --only-binary :all: "$DRGN" && has_drgn "$made/bin/python"; then
        PYTHON="$made/bin/python" && return 0
      fi
    fi
  done
  fail PackageUnavailable "No Python from 3.11 with drgn on this host, and pip could not install $DRGN. Install drgn by the package manager, and run again."
}
