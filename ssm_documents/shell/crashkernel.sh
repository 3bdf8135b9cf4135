#!/bin/bash
# Computes the bytes that a crashkernel= value reserves on this host (Documentation/admin-guide/kdump/kdump.rst).
# A value follows "crashkernel="; a pair above and below 4 GiB is one value with a space: "512M,high 72M,low".

# The value that configure_kdump wanted last, for check_kdump.
WANTED_CRASHKERNEL=/etc/hangdump/crashkernel
# kdumptool's estimate wanders by this much from run to run, and kdumptool itself takes as much less for right.
TOLERANCE_BYTES=$((4 << 20))

# 256M -> bytes, as the kernel's memparse() reads a number: small letters too, 0x… and 0…; 0 for what is none.
bytes_of() {
  local number="${1%[KMGTkmgt]}" shift=0
  case "$1" in
    *[Kk]) shift=10 ;;
    *[Mm]) shift=20 ;;
    *[Gg]) shift=30 ;;
    *[Tt]) shift=40 ;;
  esac
  if [[ "$number" =~ ^(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$ ]]; then echo $((number << shift)); else echo 0; fi
}

# As the kernel does since 5.x: memory is rounded up to 128 MiB before ranges are compared.
rounded_memory_bytes() {
  local step=$((128 << 20))
  echo $((($(memory_bytes) + step - 1) / step * step))
}

# What a value reserves on this host; 0 when no range fits. Of a pair the part above 4 GiB counts: kexec_crash_size shows
# no other on older kernels.
bytes_wanted_by() {
  local memory range limits end value="${1%% *}"
  memory="$(rounded_memory_bytes)"
  case "$value" in
    *:*) ;;
    *) bytes_of "${value%%[@,]*}" && return ;;
  esac
  value="${value%@*}"
  for range in ${value//,/ }; do
    limits="${range%%:*}"
    end="${limits#*-}"
    if ((memory >= $(bytes_of "${limits%%-*}"))) && { [[ -z "$end" ]] || ((memory < $(bytes_of "$end"))); }; then
      bytes_of "${range#*:}"
      return
    fi
  done
  echo 0
}

# The bytes that the next boot reserves. If it gets the arguments of this boot, it reserves the same (only so is the "auto" of
# EL8 known). Otherwise the least of the values counts: of several on one line the kernel takes the last.
next_reserved_bytes() {
  local value bytes least="" configured
  configured="$(family configured_crashkernels)"
  if [[ "$configured" == "$(booted_crashkernels | crashkernel_values)" ]]; then
    reserved_bytes
    return
  fi
  while read -r value; do
    # These add to another value.
    if [[ "$value" == *,low || "$value" == *,cma ]]; then continue; fi
    bytes="$(bytes_wanted_by "$value")"
    if [[ -z "$least" ]] || ((bytes < least)); then least="$bytes"; fi
  done <<<"$configured"
  echo "${least:-0}"
}

# Whether $1 bytes are enough for a crash kernel that wants $2.
is_enough() { (($1 + TOLERANCE_BYTES >= $2)); }

# The kernel's own arguments for a value.
crashkernel_arguments() { echo "crashkernel=${1// / crashkernel=}"; }

# From words on stdin (a command line, a boot entry) to the distinct values, one a line.
crashkernel_values() { { grep -o 'crashkernel=[^ "'\'']*' || true; } | sed 's/^crashkernel=//' | sort -u; }

# The arguments of the running kernel, one a line; blanks within double quotes separate none (lib/cmdline.c).
# systemd.setenv="A=b c" is one.
booted_arguments() { grep -oE '("[^"]*("|$)|[^" ])+' "$HOST_ROOT/proc/cmdline" || true; }

# The crashkernel= arguments that the kernel was booted with, for messages. They never quote the whole command line: it may
# hold secrets (systemd.setenv=…).
booted_crashkernels() { booted_arguments | { grep '^crashkernel=' || true; } | sort -u | paste -s -d ' '; }

# Would the next boot get exactly this value, however often it is written?
is_crashkernel_configured() { [[ "$(family configured_crashkernels)" == "$(crashkernel_arguments "$1" | crashkernel_values)" ]]; }

# From lines on stdin: without any crashkernel=.
without_crashkernel() { sed -E 's/[[:space:]]*\<crashkernel=[^ "'\'']*//g'; }
