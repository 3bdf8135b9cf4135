#!/bin/bash
# Written by Hangdump.
echo 0 >/proc/sys/kernel/unknown_nmi_panic; echo 0 >/proc/sys/kernel/panic_on_oops; echo 0 >/proc/sys/kernel/hardlockup_panic; echo 0 >/proc/sys/kernel/softlockup_panic; echo 0 >/proc/sys/kernel/hung_task_panic; echo 0 >/proc/sys/kernel/panic_on_rcu_stall; echo 0 >/proc/sys/kernel/panic_on_io_nmi; echo 0 >/proc/sys/kernel/panic_on_unrecovered_nmi; echo 0 >/proc/sys/kernel/panic_on_stackoverflow; echo 0 >/proc/sys/kernel/panic_on_warn; echo 10 >/proc/sys/kernel/panic
