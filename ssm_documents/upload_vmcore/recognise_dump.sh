#!/bin/bash
# Recognises dumps, whether they are complete, and their dmesg. Layouts:
#   Debian, Ubuntu  <stamp>/{dump.<stamp>,dmesg.<stamp>}, unfinished dump-incomplete; vmcore.<stamp> when makedumpfile failed
#   RHEL, Amazon    127.0.0.1-<date>/{vmcore,vmcore-dmesg.txt}, unfinished vmcore-incomplete; vmcore.flat by -F
#   SLES            <date>/{vmcore,dmesg,README.txt}, before kdump 2 dmesg.txt

# The mount point of the dump volume on this host: prepare_dump_volume marked its line of fstab, and an execution's input
# may have changed the stack's default.
use_own_mount_point() {
  local own
  own="$(awk '$1 !~ /^#/ && $4 ~ /(^|,)x-hangdump(,|$)/ { sub(/\/+$/, "", $2); print $2; exit }' "$HOST_ROOT/etc/fstab" 2>/dev/null || true)"
  [[ -z "$own" ]] || SSM_mountPoint="$own"
}

size_of() { stat -c %s "$1"; }
modified_epoch_of() { stat -c %Y "$1"; }

# "epoch path" of every dump, newest first: below the mount point, and where RHEL's failure_action dump_to_rootfs puts a
# dump if kdump's `path` is / as for a dump volume.
dumps() {
  local epoch path
  {
    find "$HOST_ROOT$SSM_mountPoint" -mindepth 2 -maxdepth 3 -type f \
      \( -name 'dump.[0-9]*' -o -name 'vmcore' -o -name 'vmcore.flat' -o -name 'vmcore.[0-9]*' -o -name 'dump-incomplete*' \
      -o -name 'vmcore-incomplete*' \) -printf '%T@ %p\n' || true
    find "$HOST_ROOT"/127.0.0.1-* -mindepth 1 -maxdepth 1 -type f \( -name vmcore -o -name 'vmcore-incomplete*' \) -printf '%T@ %p\n' || true
  } 2>/dev/null | sort -rn | sed 's/^\([0-9]*\)\.[0-9]*/\1/' | while read -r epoch path; do
    if is_dump "$path"; then echo "$epoch $path"; fi
  done
}

# The first bytes of a dump: makedumpfile (flattened), KDUMP or DISKDUMP (compressed), ELF.
magic_of() { head -c 12 "$1" 2>/dev/null | tr -d '\0'; }

# A file that is empty or begins with zeros may be a dump that lost unwritten data; a text is no dump.
is_dump() {
  [[ "${1##*/}" == *-incomplete* ]] && return 0
  case "$(magic_of "$1")" in
    makedumpfile | "KDUMP  "* | DISKDUMP* | $'\x7f'ELF*) return 0 ;;
    "") [[ ! -s "$1" || "$(head -c 1 "$1" | od -An -tx1)" == " 00" ]] ;;
    *) return 1 ;;
  esac
}

# kdump-tools uses the exit code of `makedumpfile | cat`, which is cat's: a truncated dump gets the name of a complete one.
# A flattened dump ends with a header of offset -1 and size -1 (makedumpfile.h, END_FLAG_FLAT_HEADER).
is_dump_complete() {
  local path="$1" tail_bytes
  if [[ "${path##*/}" == *-incomplete* || ! -s "$path" || -z "$(magic_of "$path")" ]] || is_called_incomplete "${path%/*}"; then return 1; fi
  if [[ "$(magic_of "$path")" == makedumpfile ]]; then
    tail_bytes="$(tail -c 16 "$path" | od -An -v -tx1 | tr -d ' \n')"
    [[ "$tail_bytes" == ffffffffffffffffffffffffffffffff ]]
  fi
}

# SLES: kdump 2 writes a README.txt before the dump and replaces it, with the status, after it; kdump 1 only after it.
# "If you see this text the crash dump is likely incomplete." / "vmcore status: saved successfully"
is_called_incomplete() {
  local readme="$1/README.txt" status
  if [[ ! -f "$readme" ]]; then
    [[ "${1##*/}" =~ ^[0-9]{4}(-[0-9]{2}){3}[-:][0-9]{2}$ ]]
    return
  fi
  status="$(sed -n 's/^vmcore status: *//p' "$readme")"
  [[ -n "$status" && "$status" != "saved successfully" ]] || grep -q 'is likely incomplete' "$readme"
}

# The dmesg that kdump wrote beside the dump, or nothing.
dmesg_of() {
  local directory file
  directory="$(dirname "$1")"
  for file in "$directory"/dmesg.[0-9]* "$directory"/{vmcore-dmesg.txt,dmesg,dmesg.txt,vmcore-dmesg-incomplete.txt}; do
    if [[ -f "$file" && -s "$file" ]]; then
      echo "$file"
      return
    fi
  done
}
