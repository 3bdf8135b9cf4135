#!/bin/bash
# Owns parking on Debian and Ubuntu, whose crash kernel boots the host's own root: there a unit waits for the dump volume.
# shellcheck disable=SC2317,SC2329 # called by name, through family(); not every document calls every function
DEBIAN_WAIT_UNIT=/etc/systemd/system/hangdump-wait.service
DEBIAN_WAIT_DROP_IN=/etc/systemd/system/kdump-tools-dump.service.d/hangdump-parked.conf

debian_parking_fault() {
  local unit
  unit="$(mount_unit "$SSM_mountPoint")"
  if [[ "$(architecture)" != x86_64 ]]; then
    echo "On $(architecture) no dump to a parked volume is proven"
  elif command -v dracut >/dev/null; then
    echo "This host makes its initramfs with dracut, with which no dump to a parked volume is proven"
  elif [[ -n "$(debian_remote_target)" ]]; then
    echo "$DEBIAN_CONFIGURATION sends dumps to $(debian_remote_target), not to the dump volume"
  elif [[ " $(debian_crash_cmdline) " != *" systemd.unit=kdump-tools-dump.service "* ]]; then
    echo "$DEBIAN_CONFIGURATION has KDUMP_CMDLINE_APPEND without systemd.unit=kdump-tools-dump.service, the unit that waits for the dump volume; configure_kdump adds it"
  elif ! grep -qsxF "After=$unit" "$HOST_ROOT$DEBIAN_DROP_IN"; then
    echo "$DEBIAN_DROP_IN does not order the dump after $unit; configure_kdump writes it"
  elif [[ ! -e "$HOST_ROOT/proc/sys/kernel/sysrq" ]]; then
    echo "The kernel has no magic SysRq key (CONFIG_MAGIC_SYSRQ), by which a crash kernel reboots whose dump volume hangs"
  fi
}

# Also those that this host does not have: another one may be installed while the volume is parked.
debian_network_units() {
  printf '%s\n' networking.service ifup@.service systemd-networkd.service systemd-networkd.socket \
    systemd-networkd-wait-online.service NetworkManager.service NetworkManager-wait-online.service
}

debian_network_drop_in() { echo "/etc/systemd/system/$1.d/hangdump-parked.conf"; }

debian_waiting_files() {
  local unit
  printf '%s\n' "$WAIT_SCRIPT" "$DEBIAN_WAIT_UNIT" "$DEBIAN_WAIT_DROP_IN"
  for unit in $(debian_network_units); do debian_network_drop_in "$unit"; done
}

# Without shell/parked.sh's PARKED they do nothing but keep the crash kernel off the network.
debian_write_waiting_files() {
  local unit
  # fstab has nofail: mount succeeds where there is no device.
  wait_script "$SSM_mountPoint" "mount $SSM_mountPoint" | write_if_changed "$WAIT_SCRIPT"
  debian_wait_unit | write_if_changed "$DEBIAN_WAIT_UNIT"
  # Requires: a wait that failed must not end in a dump to the root file system; the unit itself reboots then.
  printf '%s\n' "# Written by Hangdump." "[Unit]" "Requires=hangdump-wait.service" "After=hangdump-wait.service" | write_if_changed "$DEBIAN_WAIT_DROP_IN"
  # kdump-tools wants the network, for dumps to other machines. While the crash kernel waits, its answers to ARP would pass the
  # instance's status check, and the hang would look as if it were over. No argument such as systemd.mask=: the crash kernel
  # would have to be loaded anew, and a panic meanwhile would find none.
  for unit in $(debian_network_units); do
    printf '%s\n' "# Written by Hangdump." "[Unit]" "ConditionPathExists=!/proc/vmcore" | write_if_changed "$(debian_network_drop_in "$unit")"
  done
  systemctl daemon-reload
}

# Before the network, if its manager is one that debian_network_units does not know.
debian_wait_unit() {
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

# The crash kernel that is loaded finds the files on the host's root.
debian_load_waiting_crash_kernel() { :; }
