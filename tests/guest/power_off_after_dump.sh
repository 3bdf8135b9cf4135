#!/bin/bash
# The crash kernel of this guest powers it off after the dump, as finalAction poweroff makes it; kdump-tools itself reboots.
set -euo pipefail
mkdir -p /etc/systemd/system/kdump-tools-dump.service.d
cat > /etc/systemd/system/kdump-tools-dump.service.d/power-off.conf <<'UNIT'
[Service]
ExecStart=
ExecStart=/bin/sh -c '/usr/sbin/kdump-config savecore; exec poweroff -f'
UNIT
sync
