#!/bin/bash
# The script by which a crash kernel waits for its dump volume, the same for each family.

# $1: mount point, $2: what mounts the dump volume there, and succeeds where there is no such device.
wait_script() {
  cat <<SCRIPT
#!/bin/sh
# Written by Hangdump. Runs in the crash kernel while the dump volume is parked: waits until it is attached, and mounts it.
point=$1
bound=$SSM_waitSeconds
mount_volume() { $2; }
SCRIPT
  cat <<'SCRIPT'

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

# A second interrupt must end neither the wait nor the dump, and a panic must not hang. Not each of them can be 0.
for trigger in /proc/sys/kernel/*_panic /proc/sys/kernel/panic_on_*; do echo 0 >"$trigger"; done 2>/dev/null
echo 10 >/proc/sys/kernel/panic

# SIGRTMIN+21: systemd tells of its jobs no longer. Twice a second it would say that this one runs, and within minutes push the
# crash kernel's first lines out of the 64 KB of console that EC2 keeps.
kill -55 1

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
  if reason="$(mount_volume 2>&1)"; then reason=""; fi
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
