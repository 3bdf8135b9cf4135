#!/bin/bash
# The findings about the panic sysctls: off now, or off after the next boot; and about detectors that are off.
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

# More patience of a detector than configure_kdump set is the owner's choice.
is_as_wanted() {
  case "$1" in
    watchdog_thresh | hung_task_timeout_secs | max_rcu_stall_to_panic) ((${2:-0} >= $3)) ;;
    *) [[ "$2" == "$3" ]] ;;
  esac
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
    if [[ -n "$later" ]] && ! is_as_wanted "$key" "${later%% *}" "$wanted"; then
      finding sysctl-not-persistent "${later#* } sets kernel.$key = ${later%% *} after $SYSCTL_FILE" "remove that line"
    fi
    observed="$(cat "$HOST_ROOT/proc/sys/kernel/$key" 2>/dev/null || true)"
    if ! is_as_wanted "$key" "$observed" "$wanted"; then
      finding sysctl-off "kernel.$key is '$observed', $SYSCTL_FILE wants $wanted" "run configure_kdump, or: sysctl -p $SYSCTL_FILE"
    fi
  done <"$WORK_DIR/sysctls"
  find_detector_faults
}

# Takes a detector's switch, the value at which it is off, and the sysctl that lets it panic. What a detector does not
# say is missing on the console; one that shall panic, and is off, is a fault.
find_detector_fault() {
  if [[ "$(cat "$HOST_ROOT$1" 2>/dev/null)" != "$2" ]]; then return 0; fi
  if [[ "$(cat "$HOST_ROOT/proc/sys/kernel/$3" 2>/dev/null)" == 1 ]]; then
    finding detector-off "$1 is $2, so kernel.$3 = 1 has no effect" "change $1, or run configure_kdump with $3 = 0"
  elif [[ "$3" != hardlockup_panic ]]; then
    note_finding detector-off "$1 is $2: the kernel says nothing on the console of such a hang" "change $1"
  fi
}

# hangdump-watchdog.service is there when its owner wants it.
find_watchdog_fault() {
  if [[ -e "$HOST_ROOT/etc/systemd/system/hangdump-watchdog.service" && "$(cat "$HOST_ROOT"/sys/class/watchdog/watchdog0/state 2>/dev/null)" != active ]]; then
    finding detector-off "hangdump-watchdog.service is installed, but no watchdog is active" "run configure_kdump, and see: systemctl status hangdump-watchdog.service"
  fi
}

find_detector_faults() {
  find_watchdog_fault
  find_detector_fault /proc/sys/kernel/soft_watchdog 0 softlockup_panic
  find_detector_fault /proc/sys/kernel/nmi_watchdog 0 hardlockup_panic
  find_detector_fault /proc/sys/kernel/hung_task_timeout_secs 0 hung_task_panic
  find_detector_fault /sys/module/rcupdate/parameters/rcu_cpu_stall_suppress 1 panic_on_rcu_stall
}
