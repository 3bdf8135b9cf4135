#!/bin/bash
# The remedy of kernel-symbol-missing where no other kernel can be had: from now on and after each boot, before the crash
# kernel is loaded, a copy of /proc/kallsyms with _text hides the kernel's own. _text is 64 KiB below _stext on arm64.
set -euo pipefail

cat > /usr/local/sbin/list-text-symbol <<'SCRIPT'
#!/bin/bash
set -euo pipefail
umask 077
stext=$(awk '$3 == "_stext" { print $1; exit }' /proc/kallsyms)
{ printf '%x T _text\n' $((0x$stext - 0x10000)); cat /proc/kallsyms; } > /run/kallsyms
mount --bind /run/kallsyms /proc/kallsyms
SCRIPT
chmod 755 /usr/local/sbin/list-text-symbol

cat > /etc/systemd/system/list-text-symbol.service <<'UNIT'
[Unit]
DefaultDependencies=no
After=local-fs.target
Before=kdump-tools.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/list-text-symbol

[Install]
WantedBy=kdump-tools.service
UNIT
systemctl daemon-reload
systemctl enable list-text-symbol.service
systemctl start list-text-symbol.service
systemctl restart kdump-tools.service
