# Runs in the guest. Hangs it for good: a real-time busy loop on every processor, and no share kept for the rest.
# Frames are received in interrupts, but since Linux 5.12 (threaded NAPI) also in threads, which starve like the rest. Debian's
# 6.1 hands the work of interrupts to ksoftirqd, which starves as well: it goes first here when the guest is to answer ARP.
if [ "$ANSWERS_ARP" = yes ]; then
    for thread in $(pgrep ksoftirqd); do chrt --fifo --pid 99 "$thread"; done
else
    for threaded in /sys/class/net/*/threaded; do echo 1 > "$threaded" 2> /dev/null; done
fi
spinner=/usr/local/bin/hangdump-spinner
cp /bin/sh "$spinner"
echo -1 > /proc/sys/kernel/sched_rt_runtime_us
# Linux 6.12 keeps a share by other means: its fair server gives ordinary tasks 50 ms of every second.
fair_server=/sys/kernel/debug/sched/fair_server
test -e "$fair_server" || mount -t debugfs debugfs /sys/kernel/debug 2> /dev/null
for runtime in "$fair_server"/cpu*/runtime; do
    test ! -e "$runtime" || echo 0 > "$runtime"
done
taskset --pid --cpu-list 0 $$ > /dev/null
processors=$(nproc --all)
processor=1
while [ "$processor" -lt "$processors" ]; do
    taskset --cpu-list "$processor" chrt --fifo 90 "$spinner" -c 'while :; do :; done' &
    processor=$((processor + 1))
done
# The others must spin before this one takes the last processor, or they would never get to start.
while [ "$(pgrep --count --exact hangdump-spinne)" -lt "$((processors - 1))" ]; do :; done
exec chrt --fifo 90 "$spinner" -c 'while :; do :; done'
