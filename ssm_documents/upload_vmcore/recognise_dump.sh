#!/bin/bash
# Owns which file is a dump, whether it is complete, and which dmesg belongs to it. Layouts:
#   Debian, Ubuntu  <stamp>/{dump.<stamp>,dmesg.<stamp>}, unfinished dump-incomplete; vmcore.<stamp> when makedumpfile failed
#   RHEL, Amazon    127.0.0.1-<date>/{vmcore,vmcore-dmesg.txt}, unfinished vmcore-incomplete
#   SLES            <date>/{vmcore,dmesg,README.txt}

# The host knows best where its dump volume is mounted: prepare_dump_volume marked its line of fstab, and may have been
# given another mount point than the one that the stack uses by default.
use_own_mount_point() {
  local own
  own="$(awk '$1 !~ /^#/ && $4 ~ /(^|,)x-hangdump(,|$)/ { print $2; exit }' "$HOST_ROOT/etc/fstab" 2>/dev/null || true)"
  [[ -z "$own" ]] || SSM_mountPoint="$own"
}

size_of() { stat -c %s "$1"; }
modified_epoch_of() { stat -c %Y "$1"; }

# "epoch path" of every dump under the mount point, newest first.
dumps() {
  [[ -d "$HOST_ROOT$SSM_mountPoint" ]] || return 0
  find "$HOST_ROOT$SSM_mountPoint" -mindepth 1 -maxdepth 3 -type f \
    \( -name 'dump.[0-9]*' -o -name 'vmcore' -o -name 'vmcore.[0-9]*' -o -name 'dump-incomplete*' -o -name 'vmcore-incomplete*' \) \
    -printf '%T@ %p\n' 2>/dev/null | sort -rn | sed 's/^\([0-9]*\)\.[0-9]*/\1/'
}

# kdump-tools takes the exit code of `makedumpfile | cat`, which is cat's: a dump cut short gets the name of a complete one.
# A flattened dump ends with a header of offset -1 and size -1 (makedumpfile.h, END_FLAG_FLAT_HEADER).
is_dump_complete() {
  local path="$1" tail_bytes
  if [[ "${path##*/}" == *-incomplete* || ! -s "$path" ]]; then return 1; fi
  if [[ "$(head -c 12 "$path" | tr -d '\0')" == makedumpfile ]]; then
    tail_bytes="$(tail -c 16 "$path" | od -An -v -tx1 | tr -d ' \n')"
    [[ "$tail_bytes" == ffffffffffffffffffffffffffffffff ]]
  fi
}

# The dmesg that kdump wrote beside the dump; nothing when there is none.
dmesg_of() {
  local directory file
  directory="$(dirname "$1")"
  for file in "$directory"/dmesg.[0-9]* "$directory/vmcore-dmesg.txt" "$directory/dmesg" "$directory"/vmcore-dmesg-incomplete.txt; do
    if [[ -f "$file" && -s "$file" ]]; then
      echo "$file"
      return
    fi
  done
}

# `sha256sum` on stdin to base64 of the digest's bytes, with bash and coreutils alone.
base64_of_hex() {
  local escaped
  escaped="$(cut -c 1-64 | sed 's/../\\x&/g')"
  printf '%b' "$escaped" | base64 -w 0
}

# digest_of FILE OFFSET LENGTH: base64 of the SHA-256, as S3 wants it.
digest_of() { read_part "$1" "$2" "$3" | sha256sum | base64_of_hex; }

read_part() { dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip="$2" count="$3" status=none; }

# Host paths carry the root prefix; what is reported and taken as a parameter does not.
check_path_is_dump() {
  [[ "$SSM_vmcorePath" != none ]] || fail InvalidParameter "vmcorePath is needed; find reports it."
  if [[ "$SSM_vmcorePath" != "$SSM_mountPoint"/*/* ]] || [[ ! "${SSM_vmcorePath##*/}" =~ ^(dump|vmcore) ]]; then
    fail InvalidParameter "vmcorePath $SSM_vmcorePath is no dump in a directory below $SSM_mountPoint."
  fi
}
