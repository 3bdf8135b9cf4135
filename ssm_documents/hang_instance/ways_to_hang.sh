#!/bin/bash
# The ways to hang. Each checks first that the kernel offers it; the hang begins when the agent has sent the result.
DELAY_SECONDS=20
PROVOKE="$HOST_ROOT/sys/kernel/debug/provoke-crash/DIRECT"
FAIR_SERVER="$HOST_ROOT/sys/kernel/debug/sched/fair_server"

# Nothing may hold the agent's pipe: it would wait for the end of the hang. A function in the background is a shell of its own
# that holds what it has; exec leaves none.
later() { (exec "$@" </dev/null >/dev/null 2>&1 3>&- 9>&-) & }

cpus() {
  local cpu
  for cpu in "$HOST_ROOT"/sys/devices/system/cpu/cpu[0-9]*; do printf '%s\n' "${cpu##*/cpu}"; done
}

unavailable() { fail HangUnavailable "$1 Give the drill another hang: panic works with each kernel."; }

# LKDTM spins with the interrupts off, in the kernel: on a processor that does that, nothing else ever runs.
hang_cpus_spinning() {
  local cpu
  modprobe lkdtm || unavailable "The kernel $(uname -r) has no module lkdtm (CONFIG_LKDTM), which spins with the interrupts off."
  [[ -e "$PROVOKE" ]] || mount -t debugfs debugfs "$HOST_ROOT/sys/kernel/debug" || unavailable "debugfs cannot be mounted."
  grep -qx HARDLOCKUP "$PROVOKE" || unavailable "The module lkdtm of this kernel does not offer HARDLOCKUP."
  for cpu in $(cpus); do
    # shellcheck disable=SC2016 # the arguments of the inner shell
    later taskset -c "$cpu" bash -c 'sleep "$1"; echo HARDLOCKUP >"$2"' hang "$DELAY_SECONDS" "$PROVOKE"
  done
}

# Tasks of a high real-time priority on each processor, and no share kept for the rest: the agent starves, and since Linux
# 5.12, where it is asked for, the threads that receive frames as well, so that the status check fails.
hang_real_time() {
  local cpu threaded runtime
  echo -1 >"$HOST_ROOT/proc/sys/kernel/sched_rt_runtime_us" || unavailable "The real-time throttling cannot be turned off."
  chrt -f 99 true || unavailable "No task of this agent may have a real-time priority (RT_GROUP_SCHED)."
  for threaded in "$HOST_ROOT"/sys/class/net/*/threaded; do
    { echo 1 >"$threaded"; } 2>/dev/null || log "note: $threaded cannot be set, so this kernel may go on to answer ARP"
  done
  # Linux 6.12 keeps a share by other means: its fair server gives ordinary tasks 50 ms of every second.
  [[ -e "$FAIR_SERVER" ]] || mount -t debugfs debugfs "$HOST_ROOT/sys/kernel/debug" || true
  for runtime in "$FAIR_SERVER"/cpu*/runtime; do { echo 0 >"$runtime"; } 2>/dev/null || true; done
  for cpu in $(cpus); do
    # shellcheck disable=SC2016 # the argument of the inner shell
    later taskset -c "$cpu" bash -c 'sleep "$1"; exec chrt -f 99 bash -c "while :; do :; done"' hang "$DELAY_SECONDS"
  done
}

# The root is frozen for good: whoever writes blocks, as in a deadlock of the file system.
hang_file_system() {
  local writer
  command -v fsfreeze >/dev/null || unavailable "There is no fsfreeze (util-linux)."
  # A kernel without hung-task reports hangs as well; only nobody is told by it.
  echo 35 >"$HOST_ROOT/proc/sys/kernel/hung_task_timeout_secs" || log "note: this kernel reports no blocked tasks"
  for writer in 1 2 3 4; do
    # For a minute at most: a root that does not freeze goes on.
    # shellcheck disable=SC2016 # the argument of the inner shell
    later bash -c 'for ((n = 0; n < 600; n++)); do echo written >"$1" || exit; sleep 0.1; done' hang "$HOST_ROOT/var/tmp/hangdump-drill-$writer"
  done
  # shellcheck disable=SC2016 # the arguments of the inner shell
  later bash -c 'sleep "$1"; exec fsfreeze --freeze "$2"' hang "$DELAY_SECONDS" "$HOST_ROOT/"
}

hang_panic() {
  # shellcheck disable=SC2016 # the arguments of the inner shell
  later bash -c 'sleep "$1"; echo 1 >"$2/sys/kernel/sysrq"; echo c >"$2/sysrq-trigger"' hang "$DELAY_SECONDS" "$HOST_ROOT/proc"
}
