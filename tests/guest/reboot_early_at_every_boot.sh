# The system, but not its crash kernel, reboots whenever it boots, before an agent could answer. Not at once: the processor
# is its collector's too.
cat > /etc/systemd/system/boot-loop.service <<'UNIT'
[Unit]
DefaultDependencies=no
Before=sysinit.target
ConditionKernelCommandLine=!systemd.unit=kdump-tools-dump.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo boots in a loop >/dev/ttyS0; sleep 20; exec systemctl reboot --force --force'
[Install]
WantedBy=sysinit.target
UNIT
systemctl enable --quiet boot-loop.service
sync
