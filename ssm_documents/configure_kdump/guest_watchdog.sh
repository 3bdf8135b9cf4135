#!/bin/bash
# The guest's own watchdog, if its owner wants it: systemd feeds softdog, which panics when systemd is starved or dead.
WATCHDOG_UNIT=/etc/systemd/system/hangdump-watchdog.service
WATCHDOG_CONF=/etc/systemd/system.conf.d/hangdump-watchdog.conf

# A unit and not modules-load.d: in the crash kernel a starved systemd must not end the dump.
install_guest_watchdog() {
  write_if_changed "$WATCHDOG_UNIT" <<EOF
[Unit]
Description=Hangdump: panic when systemd is starved or dead
ConditionPathExists=!/proc/vmcore

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/sbin/modprobe softdog soft_panic=1

[Install]
WantedBy=multi-user.target
EOF
  write_if_changed "$WATCHDOG_CONF" <<EOF
[Manager]
RuntimeWatchdogSec=60
EOF
}

is_watchdog_fed() {
  is_service_enabled hangdump-watchdog.service && [[ "$(text_of /sys/class/watchdog/watchdog0/state)" == active ]]
}

# systemd feeds the watchdog from the moment that it has read its configuration again. A run may have ended before that.
feed_guest_watchdog() {
  systemctl daemon-reload
  detached systemctl enable hangdump-watchdog.service
  detached systemctl restart hangdump-watchdog.service
  detached systemctl daemon-reexec
}

remove_guest_watchdog() {
  detached systemctl disable hangdump-watchdog.service
  rm -f "$HOST_ROOT$WATCHDOG_CONF" "$HOST_ROOT$WATCHDOG_UNIT"
  detached systemctl daemon-reexec
  modprobe -r softdog || true
  note_change "hangdump-watchdog.service removed"
}

set_guest_watchdog() {
  if [[ "$SSM_guestWatchdog" == true ]]; then
    install_guest_watchdog
    is_watchdog_fed || feed_guest_watchdog
  elif [[ -f "$HOST_ROOT$WATCHDOG_UNIT" ]]; then
    remove_guest_watchdog
  fi
}
