#!/bin/bash
# The findings about the panic sysctls: off now, or off after the next boot.
SYSCTL_FILE=/etc/sysctl.d/99-kernel_panic.conf

# Files that systemd reads after Hangdump's and that set the key again (Debian's 99-sysctl.conf is /etc/sysctl.conf).
later_assignment() {
  local file name
  for file in "$HOST_ROOT"/usr/lib/sysctl.d/*.conf "$HOST_ROOT"/run/sysctl.d/*.conf "$HOST_ROOT"/etc/sysctl.d/*.conf; do
    name="${file##*/}"
    if [[ -f "$file" && "$name" > 99-kernel_panic.conf ]]; then
      sed -n "s|^[[:space:]]*kernel[./]$1[[:space:]]*=[[:space:]]*\([0-9]*\).*|\1 ${file#"$HOST_ROOT"}|p" "$file"
    fi
  done | tail -n 1
}

find_sysctl_faults() {
  local key wanted observed later
  sed -n 's/^kernel\.\([a-z_]*\) *= *\([0-9]*\).*/\1 \2/p' "$HOST_ROOT$SYSCTL_FILE" >"$WORK_DIR/sysctls" 2>/dev/null || true
  if [[ -e "$HOST_ROOT/proc/sys/kernel/unknown_nmi_panic" ]] && [[ "$(grep -cx 'unknown_nmi_panic 1' "$WORK_DIR/sysctls")" == 0 ]]; then
    finding sysctl-not-persistent "$SYSCTL_FILE does not set kernel.unknown_nmi_panic = 1" "run configure_kdump"
  fi
  while read -r key wanted; do
    # arm64 kernels do not have it, and EC2 sends them no interrupt.
    if [[ "$key" == unknown_nmi_panic && ! -e "$HOST_ROOT/proc/sys/kernel/$key" ]]; then continue; fi
    later="$(later_assignment "$key")"
    if [[ -n "$later" && "${later%% *}" != "$wanted" ]]; then
      finding sysctl-not-persistent "${later#* } sets kernel.$key = ${later%% *} after $SYSCTL_FILE" "remove that line"
    fi
    observed="$(cat "$HOST_ROOT/proc/sys/kernel/$key" 2>/dev/null || true)"
    if [[ "$observed" != "$wanted" ]]; then
      finding sysctl-off "kernel.$key is '$observed', $SYSCTL_FILE wants $wanted" "run configure_kdump, or: sysctl -p $SYSCTL_FILE"
    fi
  done <"$WORK_DIR/sysctls"
}
