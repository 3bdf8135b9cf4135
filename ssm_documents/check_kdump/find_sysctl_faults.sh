#!/bin/bash
# The findings about the panic sysctls: off now, or off after the next boot; and about detectors that are off.
SYSCTL_FILE=/etc/sysctl.d/99-kernel_panic.conf

# "value file" of the last assignment of kernel.$1, or nothing.
kernel_sysctl() { awk -v key="kernel.$1" '$1 == key { last = $2 " " $NF } END { if (last) print last }' "$WORK_DIR/assignments"; }

# More patience of a detector than configure_kdump set is the owner's choice. kdump-tools panics on an oops whenever it has loaded
# the crash kernel, also where sysctl.d has 0.
is_as_wanted() {
  case "$1" in
    panic_on_oops | watchdog_thresh | hung_task_timeout_secs | max_rcu_stall_to_panic) [[ "$2" =~ ^[0-9]+$ ]] && (($2 >= $3)) ;;
    *) [[ "$2" == "$3" ]] ;;
  esac
}

find_sysctl_faults() {
  local key wanted observed last
  sed -n 's/^kernel\.\([a-z_]*\) *= *\([0-9]*\).*/\1 \2/p' "$HOST_ROOT$SYSCTL_FILE" >"$WORK_DIR/sysctls" 2>/dev/null || true
  if [[ -e "$HOST_ROOT/proc/sys/kernel/unknown_nmi_panic" ]] && [[ "$(grep -cx 'unknown_nmi_panic 1' "$WORK_DIR/sysctls")" == 0 ]]; then
    finding sysctl-not-persistent "$SYSCTL_FILE does not set kernel.unknown_nmi_panic = 1" "run configure_kdump"
  fi
  while read -r key wanted; do
    # arm64 kernels do not have it, and EC2 sends them no interrupt.
    if [[ "$key" == unknown_nmi_panic && ! -e "$HOST_ROOT/proc/sys/kernel/$key" ]]; then continue; fi
    last="$(kernel_sysctl "$key")"
    if [[ -n "$last" && "${last#* }" != "$SYSCTL_FILE" ]] && ! is_as_wanted "$key" "${last%% *}" "$wanted"; then
      finding sysctl-not-persistent "${last#* } sets kernel.$key = ${last%% *} after $SYSCTL_FILE" "remove that line from ${last#* }"
    fi
    observed="$(text_of "/proc/sys/kernel/$key")"
    if ! is_as_wanted "$key" "$observed" "$wanted"; then
      finding sysctl-off "kernel.$key is '$observed', $SYSCTL_FILE wants $wanted" "run configure_kdump, or: sysctl -p $SYSCTL_FILE"
    fi
  done <"$WORK_DIR/sysctls"
  find_detector_faults
}

# Takes the sysctl that lets a detector panic, then the detector's switches, each with the value at which it is off. What a
# detector does not say is missing on the console; one that shall panic, and is off now or after the next boot, is a fault.
find_detector_fault() {
  local trigger="$1" path off last observed=""
  shift
  while (($# >= 2)) && [[ -z "$observed" ]]; do
    path="$1" off="$2"
    last="$(kernel_sysctl "${path##*/}")"
    if [[ "${last%% *}" == "$off" ]]; then observed="${last#* } sets kernel.${path##*/} = $off"; fi
    if [[ "$(text_of "$path")" == "$off" ]]; then observed="$path is $off${observed:+, and $observed}"; fi
    shift 2
  done
  if [[ -z "$observed" ]]; then return 0; fi
  if [[ "$(text_of "/proc/sys/kernel/$trigger")" == 1 ]]; then
    finding detector-off "$observed, so kernel.$trigger = 1 has no effect" "change that, or run configure_kdump with $trigger = 0"
  elif [[ "$trigger" != hardlockup_panic && "$(findings)" != *"$observed"* ]]; then
    note_finding detector-off "$observed: the kernel says nothing on the console of such a hang" "change that"
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
  find_detector_fault hardlockup_panic /proc/sys/kernel/watchdog 0 /proc/sys/kernel/nmi_watchdog 0 /proc/sys/kernel/watchdog_thresh 0
  find_detector_fault softlockup_panic /proc/sys/kernel/watchdog 0 /proc/sys/kernel/soft_watchdog 0 /proc/sys/kernel/watchdog_thresh 0
  find_detector_fault hung_task_panic /proc/sys/kernel/hung_task_timeout_secs 0 /proc/sys/kernel/hung_task_check_count 0
  find_detector_fault panic_on_rcu_stall /sys/module/rcupdate/parameters/rcu_cpu_stall_suppress 1
}
