# The crash kernel of this guest writes its dump to the disk at once, instead of to memory first: on a slow disk it takes
# as long as that of a large host, and what was written before a fault is there.
mkdir -p /etc/systemd/system/kdump-tools-dump.service.d
cat > /etc/systemd/system/kdump-tools-dump.service.d/slowly.conf <<'UNIT'
[Service]
ExecStart=
ExecStart=/bin/sh -c 'mount -o remount,sync /var/crash; exec /etc/init.d/kdump-tools start'
UNIT
sync
