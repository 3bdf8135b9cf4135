# The system boots, but nobody inside answers any more; it says so on the console.
systemctl mask --quiet qemu-guest-agent.service
cat > /etc/systemd/system/booted.service <<'UNIT'
[Unit]
After=var-crash.mount
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo booted without an agent >/dev/ttyS0'
[Install]
WantedBy=multi-user.target
UNIT
systemctl enable --quiet booted.service
sync
