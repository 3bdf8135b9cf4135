#!/bin/bash
# Reads sysctl.d(5) as systemd-sysctl does.

# "key value file" of each assignment in the order in which they are read: the last one of a key wins. Files are read by name; of
# one name only the first directory's counts, though it be empty. "-kernel/panic = 1" and "kernel.panic=1" are the same.
sysctl_assignments() {
  local file
  for file in "$HOST_ROOT"/{etc,run,usr/local/lib,usr/lib,lib}/sysctl.d/*.conf; do
    if [[ -e "$file" || -L "$file" ]]; then printf '%s\t%s\n' "${file##*/}" "$file"; fi
  done | sort -s -u -t $'\t' -k 1,1 | while IFS=$'\t' read -r _ file; do
    awk -F = -v file="${file#"$HOST_ROOT"}" '
      /^[ \t]*[#;]/ || NF < 2 { next }
      { gsub(/[ \t]|^[ \t]*-/, "", $1); gsub("/", ".", $1); print $1, $2, file }' "$file" 2>/dev/null || true
  done
}

# Only a reboot takes that back. A crash kernel that was loaded before stays.
is_kexec_load_disabled() { [[ "$(text_of /proc/sys/kernel/kexec_load_disabled)" == 1 ]]; }

# The files that say so.
kexec_disabling_files() {
  { grep -lsE '^[[:space:]]*-?kernel[./]kexec_load_disabled[[:space:]]*=[[:space:]]*1' "$HOST_ROOT"/{etc,run,usr/local/lib,usr/lib,lib}/sysctl.d/*.conf || true; } |
    sed "s|^$HOST_ROOT||" | paste -s -d ' '
}
