#!/bin/bash
# Runs in the guest: the root file system is frozen for good, and whoever writes to it blocks, as in a deadlock of its own.
# By itself the kernel looks for blocked tasks each two minutes, and reports ten in all.
echo 35 > /proc/sys/kernel/hung_task_timeout_secs
for number in $(seq "$WRITERS"); do
    while :; do echo written > "/var/tmp/writer-$number"; sleep 0.1; done &
done
exec fsfreeze --freeze /
