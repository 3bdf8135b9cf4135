#!/bin/bash
# Writes the files by which the crash kernel of Debian and Ubuntu waits for its dump volume. Without shell/parked.sh's PARKED
# they do nothing but keep the crash kernel off the network.

write_waiting_files() {
  local unit
  wait_script | write_if_changed "$WAIT_SCRIPT"
  wait_unit | write_if_changed "$WAIT_UNIT"
  # Requires: a wait that failed must not end in a dump to the root file system; the unit itself reboots then.
  printf '%s\n' "# Written by Hangdump." "[Unit]" "Requires=hangdump-wait.service" "After=hangdump-wait.service" | write_if_changed "$WAIT_DROP_IN"
  # kdump-tools wants the network, for dumps to other machines. While the crash kernel waits, its answers to ARP would pass the
  # instance's status check, and the hang would look as if it were over. No argument such as systemd.mask=: the crash kernel
  # would have to be loaded anew, and a panic meanwhile would find none.
  for unit in $(network_units); do
    printf '%s\n' "# Written by Hangdump." "[Unit]" "ConditionPathExists=!/proc/vmcore" | write_if_changed "$(network_drop_in "$unit")"
  done
  systemctl daemon-reload
}

# Before the network, if its manager is one that network_units does not know.
wait_unit() {
  cat <<UNIT
# Written by Hangdump.
[Unit]
Description=Hangdump: the crash kernel waits for the dump volume
DefaultDependencies=no
ConditionPathExists=/proc/vmcore
ConditionPathExists=$PARKED
After=local-fs.target
Wants=network-pre.target
Before=network-pre.target kdump-tools-dump.service
FailureAction=reboot-force

[Service]
Type=oneshot
ExecStart=/bin/sh $WAIT_SCRIPT
UNIT
}

wait_script() {
  cat <<'SCRIPT'
#!/bin/sh
# Written by Hangdump. Runs in the crash kernel while the dump volume is parked: waits until it is attached, and mounts it.

# On the console, however quiet the kernel is.
say() { echo "<2>hangdump: $*" >/dev/kmsg; }
now() { cut -d . -f 1 /proc/uptime; }

# Never a dump to the root file system. A reboot in order may hang, as sync may. Without sysrq the unit fails, and reboots.
reboot_without_dump() {
  say "$1: rebooting without a dump"
  sync &
  sleep 5
  echo b >/proc/sysrq-trigger
  exit 1
}

# A second interrupt must end neither the wait nor the dump, and a panic must not hang.
for trigger in /proc/sys/kernel/*_panic /proc/sys/kernel/panic_on_*; do echo 0 >"$trigger"; done
echo 10 >/proc/sys/kernel/panic

# SIGRTMIN+21: systemd tells of its jobs no longer. Twice a second it would say that this one runs, and within minutes push the
# crash kernel's first lines out of the 64 KB of console that EC2 keeps.
kill -55 1

read -r point _ _ _ _ bound _ </etc/hangdump/parked
# For a mount or a rescan that hangs.
(
  sleep $((bound + 120))
  reboot_without_dump "mounting the dump volume hangs"
) &
switch=$!
began="$(now)" next=0 failures=0
while :; do
  # With nofail, mount also succeeds when there is no device: only mountpoint tells. It fails when it finds the device, but
  # no sound file system.
  if reason="$(mount "$point" 2>&1)"; then reason=""; fi
  waited=$(($(now) - began))
  if mountpoint -q "$point"; then
    kill "$switch"
    say "the dump volume is mounted after $waited s"
    exit 0
  fi
  if [ -n "$reason" ]; then
    failures=$((failures + 1))
    reason="$(echo "$reason" | head -n 1)"
    if [ "$failures" -ge 60 ]; then reboot_without_dump "the dump volume cannot be mounted ($reason)"; fi
  fi
  if [ "$waited" -ge "$bound" ]; then reboot_without_dump "no dump volume within $bound s${reason:+ ($reason)}"; fi
  if [ "$waited" -ge "$next" ]; then
    say "waiting for the dump volume, $waited of $bound s${reason:+ ($reason)}"
    next=$((next + 30))
    # For a slot without hot plug.
    echo 1 >/sys/bus/pci/rescan
  fi
  sleep 1
done
SCRIPT
}
