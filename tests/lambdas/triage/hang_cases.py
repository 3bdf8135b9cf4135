"""The logs of hangs: the interrupt, lockups, stalls and hung tasks, by kind."""

from lambdas.triage import CrashClass
from tests.lambdas.triage.case import Case

_NMI, _HARD, _SOFT = CrashClass.NMI_HANG, CrashClass.HARD_LOCKUP, CrashClass.SOFT_LOCKUP
_HUNG, _RCU = CrashClass.HUNG_TASK, CrashClass.RCU_STALL
_JOURNAL = "jbd2_journal_commit_transaction"

HANGS: dict[str, dict[str, Case]] = {
    "the interrupt hits an idle CPU, a disk is stalled": {
        "idle-cpu-raid-superblock": Case(_NMI, 1, ("md0_raid1", 411), "__schedule", blamed="md_update_sb"),
        "nmi-on-idle-cpu-disk-stalled": Case(_NMI, 0, ("jbd2/nvme1n1-8", 388), "__schedule", blamed=_JOURNAL),
        "idle-cpu-disk-xfs-buffer": Case(
            _NMI, 1, ("xfsaild/nvme1n1", 611), "__schedule", blamed="__xfs_buf_submit", says=("CPU 1 was idle",)
        ),
        "idle-cpu-disk-redhat7": Case(
            _NMI, 0, ("jbd2/dm-1-8", 702), "schedule", blamed=_JOURNAL, says=("CPU 0 was idle",)
        ),
        "idle-cpu-disk-a-day-after-kfence": Case(
            *(_NMI, 0, ("jbd2/nvme1n1-8", 2101), "__schedule"),
            blamed=_JOURNAL,
            lacks=("KFENCE",),
            warns=("KFENCE: use-after-free read",),
        ),
        "idle-cpu-disk-after-a-service-had-an-internal-error": Case(
            _NMI, 0, ("jbd2/nvme1n1-8", 2101), "__schedule", blamed=_JOURNAL, lacks=("502",)
        ),
        "idle-cpu-disk-a-day-after-an-oops": Case(
            *(_NMI, 0, ("jbd2/nvme1n1-8", 2101), "__schedule"),
            blamed=_JOURNAL,
            says=("86698 s before, kernel NULL pointer dereference in example_snap_ioctl",),
        ),
        "idle-cpu-disk-ten-warnings-used-up": Case(_NMI, 0, ("jbd2/nvme1n1-8", 2101), "__schedule", blamed=_JOURNAL),
        "idle-cpu-disk-ten-warnings-used-up-long-before": Case(
            *(_NMI, 0, ("jbd2/nvme1n1-8", 2101), "__schedule"), blamed=_JOURNAL, lacks=("no other trouble",)
        ),
    },
    "the interrupt hits an idle CPU, NFS is stalled": {
        "idle-cpu-nfs-server-silent": Case(
            *(_NMI, 3, ("rsync", 9077), "__schedule"),
            blamed="__rpc_execute",
            says=("blocked for 120 s",),
            warns=("nfs: server 10.0.3.9 not responding",),
        ),
        "idle-cpu-nfs-write-back": Case(
            *(_NMI, 2, ("backup", 3107), "__schedule"),
            blamed="nfs_wb_all",
            warns=("nfs: server 10.0.3.9 not responding",),
        ),
    },
    "the interrupt hits an idle CPU, a lock is held": {
        "nmi-on-idle-cpu-network-reset": Case(_NMI, 0, ("kworker/1:2", 901), "__schedule", blamed="ena_destroy_device"),
        "idle-cpu-lock-of-a-firmware-update": Case(
            _NMI, 0, ("kworker/u8:2", 233), "__schedule", blamed="example_update_firmware"
        ),
        "idle-cpu-lock-with-an-owner": Case(
            *(_NMI, 1, ("postgres", 7102), "__schedule"),
            blamed="example_journal_write",
            says=("example_flusher (pid 640), in example_wait_for_quota [example_fs], likely holds",),
        ),
    },
    "the interrupt hits an idle CPU after an oops": {
        "idle-cpu-after-a-page-fault": Case(
            _NMI, 0, ("kworker/3:0", 2290), "example_parse_lease", says=("291 s before, unable to handle page fault",)
        ),
        "nmi-on-idle-cpu-after-an-oops": Case(_NMI, 0, ("containerd-shim", 2231), "example_queue_purge"),
        "idle-cpu-after-a-kernel-bug": Case(
            *(_NMI, 0, ("rsync", 5121), "example_evict_inode"),
            says=("291 s before, kernel BUG", "in example_evict_inode [example_fs] of rsync (pid 5121)"),
        ),
        "idle-cpu-after-a-zfs-verify": Case(
            *(_NMI, 1, ("txg_sync", 1402), "example_dbuf_write"), says=("343 s before, VERIFY3",)
        ),
        "idle-cpu-after-a-lustre-assertion": Case(
            *(_NMI, 0, ("ldlm_bl_02", 3301), "example_lock_cancel"),
            says=("LBUG in example_lock_cancel [ptlrpc] of ldlm_bl_02 (pid 3301)",),
        ),
    },
    "the interrupt hits an idle CPU, another CPU is locked up or stalled": {
        "nmi-on-idle-cpu-soft-lockup-elsewhere": Case(_NMI, 1, ("spin_no_sched", 1288), "spin_without_schedule"),
        "idle-cpu-soft-lockup-redhat7": Case(
            _NMI, 3, ("kworker/3:1", 911), "example_hash_next", says=("CPU 3 ran example_hash_next", "for 22 s")
        ),
        "idle-cpu-soft-lockup-elsewhere-5.15": Case(_NMI, 5, ("fio", 3310), "example_scan_stripes", says=("for 52 s",)),
        "idle-cpu-soft-lockups-of-a-holder-and-its-waiters": Case(
            *(_NMI, 3, ("kworker/3:1", 99), "example_drain_ring"), says=("CPU 5 ran", "CPU 6 ran")
        ),
        "idle-cpu-workqueue-lockup-elsewhere": Case(
            *(_NMI, 3, ("kworker/3:1", 99), "example_scan_work"), says=("for 61 s",), lacks=("waiting",)
        ),
        "idle-cpu-rcu-stall-elsewhere": Case(_NMI, 3, ("example_compact", 4170), "example_walk_extents"),
        "idle-cpu-rcu-stall-redhat7": Case(_NMI, 2, ("example_indexer", 9120), "example_reindex"),
    },
    "the interrupt hits an idle CPU, sysrq-w showed the blocked tasks": {
        "idle-cpu-blocked-tasks-shown-by-sysrq": Case(
            _NMI, 1, ("jbd2/nvme0n1p1-", 288), "__schedule", blamed=_JOURNAL, says=("1 was idle",)
        ),
        "idle-cpu-blocked-tasks-shown-by-sysrq-redhat8": Case(
            _NMI, 1, ("kworker/2:1H", 401), "__schedule", blamed="__blk_mq_alloc_request"
        ),
    },
    "the interrupt hits an idle CPU, and the log shows nothing else": {
        "idle-cpu-long-after-a-soft-lockup": Case(
            _NMI,
            0,
            ("swapper/0", 0),
            "native_safe_halt",
            blamed="",
            lacks=("dd",),
            warns=("soft lockup - CPU#3",),
            undecidable="what hung: the soft lockup ended two hours before",
        ),
        "idle-cpu-and-nothing-else": Case(
            *(_NMI, 0, ("swapper/0", 0), "native_safe_halt"),
            blamed="",
            says=("names no other trouble",),
            undecidable="what hung: the dump has the other tasks",
        ),
        "idle-cpu-and-nothing-else-redhat7": Case(
            *(_NMI, 1, ("swapper/1", 0), "default_idle"),
            blamed="",
            says=("names no other trouble",),
            undecidable="what hung: the dump has the other tasks",
        ),
    },
    "the interrupt hits a busy CPU": {
        "user-space-was-interrupted-while-a-disk-stalls": Case(
            _NMI,
            0,
            ("java", 4411),
            "",
            says=("java (pid 4411) in user space", "jbd2/nvme2n1-8 (pid 388) had been blocked for 120 s"),
        ),
        "user-space-was-interrupted-while-a-cpu-is-locked-up": Case(
            *(_NMI, 3, ("kworker/3:1", 99), "example_drain_ring"),
            says=("for 52 s", "CPU 0 ran node_exporter (pid 1044) in user space"),
        ),
        "nmi-kernel-thread-x86_64": Case(_NMI, 0, ("hang_me", 4211), "spin_with_interrupts_off"),
        "nmi-linux-6.12-real-guest": Case(_NMI, 0, ("hangdump-spinne", 901), ""),
        "nmi-user-space-real-guest": Case(_NMI, 0, ("hangdump-spinne", 602), ""),
        "nmi-hang-real-guest": Case(_NMI, 0, ("hd-deaf", 1412), "hangdump_spin_with_interrupts_off"),
        "nmi-redhat7": Case(_NMI, 0, ("java", 9120), "queued_spin_lock_slowpath", blamed="example_xmit"),
        "earlier-oops-then-an-interrupt-on-a-busy-cpu": Case(
            *(_NMI, 0, ("mdadm", 2011), "native_queued_spin_lock_slowpath"),
            blamed="example_remove_disk",
            says=("490 s before, divide error in example_stripe_of [example_raid] of kworker/1:0 (pid 1920)",),
        ),
        "cgroup-out-of-memory-long-before": Case(
            _NMI, 3, ("snapd", 8120), "example_lookup_slow", lacks=("java",), warns=("Memory cgroup out of memory",)
        ),
    },
    "a lock that spins under a hypervisor": {
        "kvm-spins-for-a-lock": Case(
            *(_NMI, 6, ("fio", 2280), "native_safe_halt"), blamed="example_submit", says=("for example_submit",)
        ),
        "kvm-spins-for-a-lock-in-a-softirq": Case(
            *(_NMI, 3, ("swapper/3", 0), "native_halt"), blamed="example_rx_flow", says=("in an interrupt",)
        ),
        "soft-lockup-on-pv-unlock": Case(
            _SOFT, 4, ("vhost-811", 815), "__pv_queued_spin_unlock_slowpath", blamed="example_release_ring"
        ),
    },
    "lockups": {
        "soft-lockup-in-printk": Case(
            _SOFT, 3, ("kworker/3:1", 99), "io_serial_in", blamed="example_dump_ring", lacks=("waiting",)
        ),
        "soft-lockup-in-printk-of-another": Case(
            _SOFT, 3, ("kworker/3:1", 99), "io_serial_in", blamed="other_log_drop"
        ),
        "soft-lockup-waits-for-one-cpu": Case(
            _SOFT,
            3,
            ("telemetry", 2210),
            "csd_lock_wait",
            blamed="example_read_power",
            says=("waiting for another CPU",),
        ),
        "soft-lockup-in-ksoftirqd": Case(
            _SOFT, 2, ("ksoftirqd/2", 28), "example_rx_flow", says=("of ksoftirqd/2",), lacks=("interrupt",)
        ),
        "soft-lockups-of-a-holder-and-its-waiter": Case(
            *(_SOFT, 3, ("kworker/3:1", 99), "example_drain_ring"), says=("for 26 s", "CPU 5 ran")
        ),
        "soft-lockup-waits-for-a-cpu-that-was-shown": Case(
            *(_SOFT, 5, ("example_poller", 977), "example_read_fifo"),
            says=(
                "other CPUs waited while CPU 5 ran example_read_fifo",
                "CPU 2 ran smp_call_function_many_cond of java",
            ),
        ),
        "hard-lockup-waits-for-a-cpu-that-was-shown": Case(
            *(_HARD, 6, ("kworker/6:1", 88), "delay_tsc"),
            blamed="example_wait_fw",
            says=("CPU 2 ran native_queued_spin_lock_slowpath of haproxy",),
        ),
        "hard-lockup-redhat7": Case(
            *(_HARD, 3, ("nginx", 5120), "queued_spin_lock_slowpath"),
            blamed="example_rx_flow",
            says=("in an interrupt",),
            lacks=("nginx",),
        ),
        "hard-lockup-redhat9": Case(
            _HARD, 1, ("kworker/1:2", 2050), "native_queued_spin_lock_slowpath", blamed="take_lock_twice"
        ),
        "soft-lockup-arm64": Case(_SOFT, 1, ("hang_soft", 2301), "spin_without_schedule", "aarch64"),
        "soft-lockup-arm64-wrapped": Case(_SOFT, 1, ("hang_soft", 2301), "spin_without_schedule", "aarch64"),
        "soft-lockup-caller-ids-interleaved": Case(_SOFT, 1, ("hang_soft", 912), "spin_without_schedule"),
        "soft-lockup-real-guest": Case(_SOFT, 1, ("hd-busy", 1412), "hangdump_spin_without_scheduling"),
        "soft-lockup-on-unlock": Case(
            _SOFT, 7, ("stress", 5102), "_raw_spin_unlock_irqrestore", blamed="example_drain_queue"
        ),
        "soft-lockup-on-unlock-slow-path-arm64": Case(
            *(_SOFT, 1, ("kworker/1:2", 5102), "__raw_spin_unlock_irqrestore", "aarch64"),
            blamed="example_sweep_bucket",
        ),
        "soft-lockup-waits-for-a-cpu-arm64": Case(
            *(_SOFT, 2, ("modprobe", 4110), "smp_call_function_many_cond", "aarch64"),
            blamed="example_patch_code",
            says=("waiting for another CPU",),
        ),
        "soft-lockup-waits-for-a-cpu-redhat7": Case(
            *(_SOFT, 0, ("kworker/0:2", 702), "smp_call_function_many"),
            blamed="example_free_ring",
            says=("waiting for another CPU",),
        ),
        "soft-lockup-clear-page": Case(_SOFT, 3, ("qemu", 2210), "clear_page_erms", blamed="example_prefault"),
        "soft-lockup-after-an-oops-arm64": Case(
            *(_SOFT, 0, ("envoy", 4099), "queued_spin_lock_slowpath", "aarch64"),
            blamed="example_open_flow",
            says=("in example_unlink_flow [example_net] of envoy (pid 4101)",),
        ),
    },
    "the detector is not the culprit": {
        "hard-lockup-seen-by-its-neighbour": Case(
            _HARD, 1, ("trainer", 2901), "native_queued_spin_lock_slowpath", blamed="example_submit_job"
        ),
        "hard-lockup-seen-by-its-neighbour-arm64": Case(
            _HARD, 3, ("trainer", 2901), "queued_spin_lock_slowpath", "aarch64", blamed="example_submit_job"
        ),
        "rcu-stall-of-another-cpu-arm64": Case(
            *(_RCU, 2, ("example_scan", 811), "", "aarch64"),
            lacks=("__switch_to",),
            undecidable="what a running task did, seen from another CPU of arm64",
        ),
        "rcu-stall-redhat7-of-another-cpu": Case(
            *(_RCU, 1, ("example_gather", 2210), ""),
            undecidable="what a running task did, seen from another CPU of Linux 3.10: no frame is sure",
        ),
        "hung-task-with-backtraces-of-all-cpus": Case(_HUNG, 1, ("tar", 811), "__schedule", blamed="example_truncate"),
        "hung-task-nobody-named": Case(
            _HUNG, 0, None, "", lacks=("khungtaskd",), undecidable="the task: the kernel named none"
        ),
        "hung-task-nobody-named-redhat7": Case(
            _HUNG, 1, None, "", lacks=("khungtaskd",), undecidable="the task: the kernel named none"
        ),
        "watchdog": Case(CrashClass.WATCHDOG, 0, ("fio", 8100), "xfs_iomap_write_direct"),
    },
    "RCU stalls": {
        "rcu-stall-with-a-starved-kthread": Case(_RCU, 1, ("example_rebuild", 4170), "example_next_stripe"),
        "rcu-stall-of-idle-cpus-with-a-starved-kthread": Case(_RCU, 4, ("example_poller", 977), "example_read_fifo"),
        "rcu-stall-expedited": Case(_RCU, 2, ("netns", 4170), "example_dump_table", lacks=("panic_on_rcu_stall",)),
        "rcu-stall-of-a-holder-and-its-waiter": Case(
            _RCU, 5, ("kworker/5:1", 99), "example_drain_ring", says=("CPU 2 ran native_queued_spin_lock_slowpath",)
        ),
        "rcu-stall-of-a-preempted-reader": Case(
            _RCU,
            3,
            ("example_reader", 4120),
            "example_walk_table",
            says=("preempted in example_walk_table",),
            lacks=("CPU 3",),
        ),
        "rcu-stall": Case(_RCU, 1, ("rcu_hog", 901), "hog_read_side"),
        "rcu-stall-real-guest": Case(_RCU, 1, ("hd-reader", 1411), "hangdump_read_for_ever"),
        "rcu-stall-clear-page-arm64": Case(
            _RCU, 1, ("redis-server", 3301), "__pi_clear_page", "aarch64", blamed="example_fault_huge"
        ),
    },
    "hung tasks of equal wait": {
        "hung-task-nfs-arm64": Case(_HUNG, 1, ("find", 3311), "__switch_to", "aarch64", blamed="__rpc_execute"),
        "hung-tasks-cron-first": Case(_HUNG, 1, ("jbd2/nvme1n1-8", 391), "__schedule", blamed=_JOURNAL),
        "hung-tasks-journal-first": Case(_HUNG, 1, ("jbd2/nvme1n1-8", 388), "__schedule", blamed=_JOURNAL),
        "hung-tasks-waiting-for-a-tag": Case(
            _HUNG, 1, ("kworker/u4:1", 77), "__schedule", blamed="__blk_mq_alloc_request", says=("and 2 more",)
        ),
        "hung-tasks-throttled-device-arm64": Case(
            _HUNG, 3, ("kworker/u8:4", 412), "__switch_to", "aarch64", blamed="blk_mq_submit_bio"
        ),
        "hung-tasks-lock-of-a-page-first": Case(
            _HUNG, 1, ("example_trunc", 911), "__schedule", blamed="example_truncate"
        ),
        "hung-task-rtnl-lock": Case(_HUNG, 0, ("systemd-network", 602), "__schedule", blamed="example_down"),
    },
    "hung tasks of unequal wait": {
        "hung-task": Case(_HUNG, 1, ("postgres", 2101), "__schedule", blamed="ext4_buffered_write_iter"),
        "hung-task-longer-than-the-others": Case(
            _HUNG, 0, ("example_mover", 411), "__schedule", blamed="example_wait_tape", says=("for 362 s",)
        ),
    },
    "the likely owner of a lock (Linux 6.16)": {
        "hung-task-rtnl-lock-arm64": Case(
            *(_HUNG, 2, ("kworker/1:3", 311), "__switch_to", "aarch64"),
            blamed="example_reset",
            says=("ip (pid 1720), in example_unbind [example_nic], likely holds",),
        ),
        "hung-task-writer-of-a-semaphore": Case(
            *(_HUNG, 1, ("mkfs", 4120), "__schedule"),
            blamed="example_freeze",
            says=("example_gc (pid 711), in example_discard [example_fs], likely holds",),
        ),
    },
    "a hung task waits for a lock, a work item or a grace period": {
        "hung-tasks-on-a-real-time-kernel": Case(
            _HUNG, 1, ("example_reader", 412), "__schedule", blamed="example_route_get"
        ),
        "hung-task-while-a-cpu-is-locked-up": Case(
            *(_HUNG, 1, ("systemd-udevd", 412), "__schedule"),
            blamed="blkdev_get_by_dev",
            says=("; 28 s before, CPU 3 had been stuck for 130 s in example_drain_ring [example_blk] of kworker/3:1",),
        ),
        "hung-task-real-guest": Case(_HUNG, 1, ("hd-waiter", 1412), "__schedule", blamed="hangdump_wait_for_the_mutex"),
        "hung-task-mutex-of-a-file-system": Case(_HUNG, 1, ("postgres", 2101), "__schedule", blamed="example_commit"),
        "hung-task-mutex-of-the-network": Case(
            _HUNG, 1, ("kworker/3:1", 455), "__schedule", blamed="ena_fw_reset_device"
        ),
        "hung-task-flush-work": Case(_HUNG, 1, ("rmmod", 2120), "__schedule", blamed="example_close"),
        "hung-task-drains-all-cpus": Case(_HUNG, 1, ("memhog", 2120), "__schedule", blamed="example_migrate"),
        "hung-task-cancel-work-redhat8": Case(_HUNG, 0, ("ethtool", 2120), "__schedule", blamed="example_stop"),
        "hung-task-synchronize-rcu": Case(_HUNG, 1, ("nft", 2120), "__schedule", blamed="example_unregister_hook"),
        "hung-task-synchronize-srcu-arm64": Case(
            _HUNG, 0, ("udevd", 820), "__switch_to", "aarch64", blamed="example_mark_remove"
        ),
        "hung-task-synchronize-sched-redhat7": Case(_HUNG, 0, ("ovsdb", 820), "schedule", blamed="example_remove_port"),
    },
    "a hung task after a fault": {
        "hung-task-after-a-zfs-verify": Case(
            _HUNG,
            1,
            ("zfs", 2411),
            "__schedule",
            blamed="txg_wait_open",
            says=("in example_sync_objset [zfs] of dp_sync_taskq (pid 1822)",),
        ),
        "hung-task-after-a-protection-fault": Case(
            *(_HUNG, 4, ("nginx", 2021), "__schedule"),
            blamed="example_cache_get",
            says=("480 s before, general protection fault in example_evict_entry [example_cache] of kworker/6:1",),
        ),
        "hung-task-after-an-invalid-opcode-redhat7": Case(
            *(_HUNG, 0, ("xfsaild/dm-3", 811), "schedule"),
            blamed="xfs_buf_submit_wait",
            says=("310 s before, kernel BUG", "in example_put_request [example_blk] of dd (pid 2120)"),
        ),
        "hung-task-after-a-zfs-panic-redhat8": Case(
            *(_HUNG, 0, ("txg_sync", 1602), "__schedule"),
            blamed="zio_wait",
            says=("PANIC: zfs", "in example_tree_remove [zfs] of z_wr_iss (pid 1511)"),
            warns=("PANIC: zfs: example segment",),
        ),
    },
}
