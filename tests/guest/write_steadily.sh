#!/bin/bash
# Runs in the guest: a service that does its work, five times a second, whatever becomes of its network.
while :; do
    dd if=/dev/zero of=/root/work bs=4k count=1 oflag=dsync status=none
    sleep 0.2
done
