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

# systemd feeds the watchdog from the moment that it has read its configuration again.
set_guest_watchdog() {
  local before
  before="$(changes | wc -l)"
  if [[ "$SSM_guestWatchdog" == true ]]; then
    install_guest_watchdog
  elif [[ -f "$HOST_ROOT$WATCHDOG_UNIT" ]]; then
    rm -f "$HOST_ROOT$WATCHDOG_CONF"
    systemctl daemon-reexec 3>&- 9>&-
    systemctl disable hangdump-watchdog.service 3>&- 9>&-
    rm -f "$HOST_ROOT$WATCHDOG_UNIT"
    modprobe -r softdog || true
    note_change "hangdump-watchdog.service removed"
    return 0
  fi
  if (($(changes | wc -l) > before)); then
    systemctl daemon-reload
    systemctl enable hangdump-watchdog.service 3>&- 9>&-
    systemctl restart hangdump-watchdog.service 3>&- 9>&-
    systemctl daemon-reexec 3>&- 9>&-
  fi
}
