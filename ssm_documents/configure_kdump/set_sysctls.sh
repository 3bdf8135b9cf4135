#!/bin/bash
# Sets the panic sysctls in one file and applies them at once. Never on the kernel's command line, because the crash kernel
# inherits it.
SYSCTL_FILE=/etc/sysctl.d/99-kernel_panic.conf
SYSCTL_HEADER="# Written by Hangdump: what turns a hang into a panic, and so into a dump."
SWITCHES="unknown_nmi_panic panic_on_oops hardlockup_panic softlockup_panic hung_task_panic panic_on_rcu_stall
  panic_on_io_nmi panic_on_unrecovered_nmi panic_on_stackoverflow panic_on_warn"
# The patience of a detector that panics. With the kernel's own, a machine that recovers is crashed: an EBS volume can
# pause for minutes.
PATIENCE="softlockup_panic watchdog_thresh 30
hung_task_panic hung_task_timeout_secs 900
panic_on_rcu_stall max_rcu_stall_to_panic 3"

# "key value" lines for the detectors that panic. More patience, which the owner has set, stays.
wanted_patience() {
  local switch key least variable observed
  while read -r switch key least; do
    variable="SSM_$switch"
    observed="$(cat "$HOST_ROOT/proc/sys/kernel/$key" 2>/dev/null || true)"
    if [[ "${!variable}" == 1 && -n "$observed" ]]; then echo "$key $((observed > least ? observed : least))"; fi
  done <<<"$PATIENCE"
}

# "key value" lines. A key that this kernel lacks is left out if its value is 0; otherwise it is an error.
wanted_sysctls() {
  local key variable
  for key in $SWITCHES; do
    variable="SSM_$key"
    if [[ -e "$HOST_ROOT/proc/sys/kernel/$key" ]]; then
      echo "$key ${!variable}"
    elif [[ "$key" == unknown_nmi_panic && "$(architecture)" != x86_64 ]]; then
      log "note: kernel.$key does not exist on $(architecture), where EC2 sends no diagnostic interrupt; left out"
    elif [[ "${!variable}" != 0 ]]; then
      fail InvalidParameter "$key must be set, but kernel $(kernel_release) has no sysctl kernel.$key. Set it to 0, or boot a kernel that has it."
    fi
  done
  wanted_patience
  if [[ "$SSM_kernel_panic" != keep ]]; then echo "panic $SSM_kernel_panic"; fi
}

# Keeps the owner's lines, but without the keys that are set (-kernel/panic is the same key), and below the header
# without all that Hangdump ever sets.
foreign_sysctls() {
  { cat "$HOST_ROOT$SYSCTL_FILE" 2>/dev/null || true; } |
    SET="$(cut -d ' ' -f 1 "$WORK_DIR/sysctls")" EVER="$SWITCHES $PATIENCE panic" HEADER="$SYSCTL_HEADER" awk '
    BEGIN {
      split(ENVIRON["SET"], set); for (i in set) ours["kernel." set[i]] = 1
      split(ENVIRON["EVER"], ever); for (i in ever) below["kernel." ever[i]] = 1
    }
    $0 == ENVIRON["HEADER"] { is_below = 1; next }
    { key = $0; sub(/=.*/, "", key); gsub(/[ \t]|^[ \t]*-/, "", key); gsub("/", ".", key) }
    !(key in ours) && !(is_below && key in below)'
}

set_sysctls() {
  local key value
  wanted_sysctls >"$WORK_DIR/sysctls"
  {
    foreign_sysctls
    echo "$SYSCTL_HEADER"
    while read -r key value; do echo "kernel.$key = $value"; done <"$WORK_DIR/sysctls"
  } >"$WORK_DIR/sysctl.conf"
  keep_backup "$SYSCTL_FILE"
  write_if_changed "$SYSCTL_FILE" <"$WORK_DIR/sysctl.conf"
  while read -r key value; do
    if [[ "$(cat "$HOST_ROOT/proc/sys/kernel/$key")" != "$value" ]]; then
      echo "$value" >"$HOST_ROOT/proc/sys/kernel/$key"
      note_change "kernel.$key = $value"
    fi
  done <"$WORK_DIR/sysctls"
}
