#!/bin/bash
# Sets the panic sysctls in one file and applies them at once. Never on the kernel's command line, because the crash kernel
# inherits it.
SYSCTL_FILE=/etc/sysctl.d/99-kernel_panic.conf
SYSCTL_HEADER="# Written by Hangdump: what turns a hang into a panic, and so into a dump."
SWITCHES="unknown_nmi_panic panic_on_oops hardlockup_panic softlockup_panic hung_task_panic panic_on_rcu_stall
  panic_on_io_nmi panic_on_unrecovered_nmi panic_on_stackoverflow panic_on_warn"
# Commands for the crash kernel, on one line: no trigger ends the dump, and a panic of its own reboots.
crash_kernel_commands() {
  # shellcheck disable=SC2086 # a list of words
  printf 'echo 0 >/proc/sys/kernel/%s; ' $SWITCHES
  echo "echo 10 >/proc/sys/kernel/panic"
}

# set_crash_arguments FILE KEY ARGUMENTS [UNIT]: of the crash kernel, which starts that unit. With panic= it reboots where it fails before those commands.
# On Graviton irqpoll keeps it from its disks; kdumpctl leaves it out itself since 2022 only, kdump-tools has it in its default.
set_crash_arguments() {
  local arguments="$3"
  if [[ "$(architecture)" == aarch64 ]]; then arguments="$(sed -E 's/(^| )irqpoll( |$)/\1/g; s/ $//' <<<"$arguments")"; fi
  if [[ -n "${4:-}" && " $arguments" != *" systemd.unit="* ]]; then arguments+=" systemd.unit=$4"; fi
  if ! [[ " $arguments " =~ \ panic=-?[1-9] ]]; then arguments="${arguments:+$arguments }panic=10"; fi
  if [[ "$arguments" != "$3" ]]; then set_assignments "$1" "$2" "\"$arguments\""; fi
}

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
    observed="$(text_of "/proc/sys/kernel/$key")"
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
      # EC2 sends no diagnostic interrupt there.
      continue
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
  text_of "$SYSCTL_FILE" |
    SET="$(cut -d ' ' -f 1 "$WORK_DIR/sysctls")" EVER="$SWITCHES $PATIENCE panic" HEADER="$SYSCTL_HEADER" awk '
    BEGIN {
      split(ENVIRON["SET"], set); for (i in set) ours["kernel." set[i]] = 1
      split(ENVIRON["EVER"], ever); for (i in ever) below["kernel." ever[i]] = 1
    }
    $0 == ENVIRON["HEADER"] { is_below = 1; next }
    { key = $0; sub(/=.*/, "", key); gsub(/[ \t]|^[ \t]*-/, "", key); gsub("/", ".", key) }
    !(key in ours) && !(is_below && key in below)'
}

# Of the lines of wanted_sysctls in $WORK_DIR/sysctls.
set_sysctls() {
  local key value observed
  {
    foreign_sysctls
    echo "$SYSCTL_HEADER"
    while read -r key value; do echo "kernel.$key = $value"; done <"$WORK_DIR/sysctls"
  } >"$WORK_DIR/sysctl.conf"
  write_if_changed "$SYSCTL_FILE" <"$WORK_DIR/sysctl.conf"
  while read -r key value; do
    observed="$(text_of "/proc/sys/kernel/$key")"
    if [[ "$observed" != "$value" ]]; then
      record sysctl "kernel.$key" "=$observed" "=$value"
      echo "$value" >"$HOST_ROOT/proc/sys/kernel/$key"
      note_change "kernel.$key = $value"
    fi
  done <"$WORK_DIR/sysctls"
}
