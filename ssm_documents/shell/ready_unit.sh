#!/bin/bash
# The unit that says on the console of each boot that kdump is loaded, and with which configuration: an interrupt after a
# reboot needs no new check then. check_kdump reports the same configuration.
READY_UNIT=/etc/systemd/system/hangdump-ready.service
READY_SCRIPT=/etc/hangdump/ready.sh

ready_config_files() {
  family config_files
  echo /etc/sysctl.d/99-kernel_panic.conf
}

# The ID of the configuration: 16 digits of the SHA-256 of its files, as READY_SCRIPT computes it.
config_id() {
  local file
  while read -r file; do text_of "$file"; done < <(ready_config_files) | sha256sum | cut -c 1-16
}

# On each console: /dev/console is only the last of the kernel's command line, and EC2 shows the serial one. With the time,
# as on such a host nothing else dates the boot there.
install_ready_unit() {
  write_if_changed "$READY_SCRIPT" <<EOF
#!/bin/sh
# Written by Hangdump.
[ "\$(cat /sys/kernel/kexec_crash_loaded)" = 1 ] || exit 0
config="\$(cat $(ready_config_files | paste -s -d ' ') 2>/dev/null | sha256sum | cut -c 1-16)"
line="hangdump-ready boot=\$(cat /proc/sys/kernel/random/boot_id) kernel=\$(uname -r) config=\$config at=\$(date +%s) up=\$(cut -d. -f1 /proc/uptime)"
for tty in \$(cat /sys/class/tty/console/active || echo console); do echo "\$line" >/dev/\$tty; done
EOF
  write_if_changed "$READY_UNIT" <<EOF
[Unit]
Description=Hangdump: says that kdump is loaded
After=$(family kdump_service)
ConditionPathExists=!/proc/vmcore

[Service]
Type=oneshot
ExecStart=/bin/sh $READY_SCRIPT

[Install]
WantedBy=multi-user.target
EOF
  enable_service hangdump-ready.service
}

# For the boot that is running; later ones say it by themselves.
say_ready() { detached systemctl restart hangdump-ready.service || true; }
