#!/bin/bash
# Computes the bytes that a crashkernel= value reserves on this host (Documentation/admin-guide/kdump/kdump.rst).
# A value follows "crashkernel="; a pair above and below 4 GiB is one value with a space: "512M,high 72M,low".

# 256M -> bytes; a plain number is bytes.
bytes_of() {
  case "$1" in
    *T) echo $((${1%T} << 40)) ;;
    *G) echo $((${1%G} << 30)) ;;
    *M) echo $((${1%M} << 20)) ;;
    *K) echo $((${1%K} << 10)) ;;
    *) echo "$1" ;;
  esac
}

# As the kernel does since 5.x: memory is rounded up to 128 MiB before ranges are compared.
rounded_memory_bytes() {
  local step=$((128 * 1024 * 1024))
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
