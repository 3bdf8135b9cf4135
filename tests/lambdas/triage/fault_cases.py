"""The logs of faults: oopses, bugs, exhausted memory, hardware and the end of init, by kind."""

from lambdas.triage import CrashClass
from tests.lambdas.triage.case import Case

_OOPS, _BUG, _PAGE, _NULL = CrashClass.OOPS, CrashClass.BUG, CrashClass.PAGE_FAULT, CrashClass.NULL_DEREFERENCE
_MEMORY, _HARDWARE, _PANIC = CrashClass.OUT_OF_MEMORY, CrashClass.MACHINE_CHECK, CrashClass.PANIC

FAULTS: dict[str, dict[str, Case]] = {
    "oopses": {
        "null-dereference-redhat8": Case(_NULL, 1, ("multipathd", 3120), "example_end_clone"),
        "stack-overflow-arm64": Case(CrashClass.STACK_OVERFLOW, 2, ("mount", 3120), "example_resolve", "aarch64"),
        "scheduling-while-atomic-then-an-oops": Case(
            _PAGE, 1, ("backup", 2210), "example_unlock", warns=("scheduling while atomic",)
        ),
        "general-protection-fault": Case(_OOPS, 0, ("my app: (x) y", 5150), "fput"),
        "invalid-opcode-without-a-bug-line": Case(_OOPS, 0, ("modprobe", 611), "example_checksum_avx512"),
        "null-dereference": Case(_NULL, 1, ("bash", 1777), "write_through_null"),
        "null-dereference-arm64": Case(_NULL, 0, ("bash", 1502), "write_through_null", "aarch64"),
        "null-dereference-real-guest": Case(_NULL, 1, ("hd-null", 1411), "hangdump_follow_a_null_pointer"),
        "page-fault-real-guest": Case(_PAGE, 1, ("hd-overrun", 1411), "hangdump_run_off_the_end"),
        "page-fault-without-time-stamps": Case(_PAGE, 3, ("kswapd0", 77), "workingset_refault"),
        "bug-real-guest": Case(_BUG, 1, ("hd-assertion", 1411), "hangdump_break_an_assertion"),
        "stack-overflow": Case(CrashClass.STACK_OVERFLOW, 0, ("bash", 1420), "recurse_for_ever"),
        "stack-overflow-real-guest": Case(
            CrashClass.STACK_OVERFLOW, 1, ("hd-recursion", 1410), "hangdump_recurse_without_end"
        ),
        "lustre-assertion-panics": Case(_BUG, 5, ("mdt00_003", 2101), "example_object_put"),
    },
    "the first complete report and the first panic count": {
        "oops-and-a-second-title": Case(_OOPS, 2, ("swapper/2", 0), "find_busiest_group"),
        "two-cpus-fault-at-once": Case(_NULL, 3, ("haproxy", 2120), "example_pick_backend"),
        "two-cpus-fault-at-once-arm64": Case(_NULL, 3, ("haproxy", 2120), "example_pick_backend", "aarch64"),
        "second-fault-in-the-same-seconds": Case(_BUG, 1, ("kworker/u8:3", 902), "example_split_extent"),
        "panic-and-its-fallout": Case(_OOPS, 4, ("swapper/4", 0), "example_timer_fn", says=("in an interrupt",)),
        "interrupt-then-a-late-soft-lockup": Case(CrashClass.NMI_HANG, 1, ("java", 7120), "example_retry_io"),
        "oops-after-an-older-oops": Case(
            *(_NULL, 0, ("logrotate", 2011), "example_rotate"),
            says=("8701 s before, unable to handle page fault in example_append [example_log] of collectd (pid 1204)",),
        ),
    },
    "a check of lists, counters or the stack": {
        "list-del-corruption": Case(
            _BUG, 5, ("kworker/5:2", 812), "__list_del_entry_valid.cold", blamed="example_flow_expire"
        ),
        "list-add-corruption": Case(
            _BUG, 2, ("containerd", 4120), "__list_add_valid_or_report", blamed="example_queue_work"
        ),
        "refcount-underflow-panics": Case(_BUG, 3, ("sshd", 811), "refcount_warn_saturate", blamed="example_conn_put"),
        "refcount-addition-on-zero-arm64": Case(
            _BUG, 1, ("kworker/1:3", 902), "refcount_warn_saturate", "aarch64", blamed="example_conn_get"
        ),
        "stack-protector-module": Case(_BUG, 0, ("iptables", 1811), "__stack_chk_fail", blamed="example_parse_options"),
        "stack-protector-arm64": Case(
            *(_BUG, 1, ("swapper/1", 0), "__stack_chk_fail", "aarch64"),
            blamed="example_parse_header",
            says=("in an interrupt",),
        ),
    },
    "a thunk or a wrong pointer to a function": {
        "call-through-a-null-pointer": Case(_NULL, 2, ("qemu", 3011), "example_notify"),
        "call-through-a-bad-pointer": Case(
            *(_PAGE, 2, ("swapper/2", 0), "call_timer_fn"),
            says=("in an interrupt",),
            undecidable="whose timer it was: the function's module is gone",
        ),
        "interrupt-in-a-return-thunk": Case(
            CrashClass.NMI_HANG, 0, ("python3", 4011), "srso_alias_return_thunk", blamed="example_poll_ring"
        ),
        "fault-in-an-indirect-thunk": Case(
            _OOPS, 0, ("umount", 611), "__x86_indirect_thunk_rax", blamed="example_put_super"
        ),
    },
    "a function that copies for its caller": {
        "memcpy-beyond-a-page": Case(_PAGE, 5, ("tar", 3201), "memcpy_erms", blamed="example_read_block"),
        "memcpy-beyond-a-page-arm64": Case(
            _PAGE, 5, ("tar", 3201), "__pi_memcpy_generic", "aarch64", blamed="example_read_block"
        ),
        "usercopy-overrun": Case(_BUG, 1, ("collectd", 2710), "usercopy_abort", blamed="example_get_config"),
        "usercopy-overrun-arm64": Case(
            _BUG, 1, ("collectd", 2710), "usercopy_abort", "aarch64", blamed="example_set_config"
        ),
    },
    "a function that builds, looks up, wakes or formats for its caller": {
        "skb-put-beyond-its-end": Case(
            *(_BUG, 2, ("swapper/2", 0), "skb_panic"), blamed="example_build_tx", says=("in an interrupt",)
        ),
        "skb-put-beyond-its-end-by-another": Case(
            *(_BUG, 2, ("swapper/2", 0), "skb_panic"), blamed="other_push_tag", says=("in an interrupt",)
        ),
        "byte-queue-limit-broken": Case(_BUG, 2, ("swapper/2", 0), "dql_completed", blamed="example_clean_tx"),
        "tree-with-a-broken-node": Case(_OOPS, 2, ("kvd", 2210), "rb_erase", blamed="example_drop_extent"),
        "wake-up-of-a-freed-task": Case(
            _PAGE, 2, ("swapper/2", 0), "_raw_spin_lock_irqsave", blamed="example_complete_cmd"
        ),
        "format-of-a-bad-string": Case(_PAGE, 2, ("lsagent", 2210), "string_nocheck", blamed="example_proc_show"),
        "missing-endbr": Case(_BUG, 3, ("agentd", 2211), "example_cb"),
    },
    "a check of the allocator, KASAN": {
        "double-free-found-by-slub": Case(_BUG, 3, ("kworker/3:2", 1402), "__slab_free", blamed="example_free_ring"),
        "slub-poison-then-a-fault-arm64": Case(
            *(_PAGE, 0, ("collectd", 2210), "example_conn_timeout", "aarch64"), warns=("Poison overwritten",)
        ),
        "kasan-panics-long-after-lockdep": Case(_BUG, 2, ("kv-worker", 2210), "print_report", blamed="example_lookup"),
        "kasan-fault-panics": Case(_BUG, 2, ("kv-worker", 2210), "print_report", blamed="example_lookup"),
        "divide-error-of-a-kernel-with-kasan": Case(_OOPS, 2, ("tuned", 2210), "example_rate"),
        "kasan-use-after-free": Case(_BUG, 2, ("kworker/2:1", 411), "print_report", blamed="example_timer_fn"),
        "kasan-out-of-bounds-arm64": Case(
            _BUG, 0, ("encoder", 1911), "print_address_description.constprop.0", "aarch64", blamed="example_decode"
        ),
        "broken-free-list-met-by-another": Case(
            *(_OOPS, 0, ("bash", 3120), "kmem_cache_alloc_trace"),
            blamed="alloc_pipe_info",
            undecidable="who wrote into the free memory: the task that met it only allocated",
        ),
    },
    "a fault in a softirq": {
        "divide-error-in-a-timer": Case(
            _OOPS, 2, ("mongod", 4120), "example_refill", says=("in an interrupt",), lacks=("mongod",)
        ),
        "bug-in-softirq": Case(_BUG, 0, ("swapper/0", 0), "example_clean_rx"),
        "softirq-crash-arm64": Case(
            _NULL, 1, ("postgres", 3120), "example_rx_frame", "aarch64", says=("in an interrupt",), lacks=("postgres",)
        ),
        "softirq-crash-redhat7": Case(
            _NULL, 1, ("postgres", 3120), "example_rx_frame", says=("in an interrupt",), lacks=("postgres",)
        ),
        "softirq-crash-on-the-way-out-of-a-send": Case(
            _NULL, 1, ("postgres", 3120), "example_rx_frame", says=("in an interrupt",), lacks=("postgres",)
        ),
    },
    "a warning that panics": {
        "warning-that-panics-redhat8": Case(_BUG, 1, ("umount", 4211), "example_drop_super"),
        "warning-that-panics-of-a-context-switch": Case(
            _BUG, 2, ("routed", 2210), "rcu_note_context_switch", blamed="example_ask_fw"
        ),
        "warning-that-panics-of-a-transmit-queue": Case(
            *(_BUG, 3, ("swapper/3", 0), "dev_watchdog"),
            blamed="",
            says=("NETDEV WATCHDOG: eth0 (ena): transmit queue 2 timed out.",),
        ),
        "warning-that-panics-of-another-drivers-queue": Case(
            *(_BUG, 3, ("swapper/3", 0), "dev_watchdog"), blamed="", says=("eth0 (ixgbevf)",)
        ),
        "warning-over-the-limit": Case(_BUG, 2, ("ringd", 2210), "example_ring_put", says=("found a bug",)),
        "warning-that-panics-5.15": Case(_BUG, 1, ("kworker/1:4", 4211), "example_ring_reset"),
    },
    "a double fault": {
        "double-fault-redhat8": Case(_OOPS, 1, ("kworker/u4:1", 1227), "example_map"),
        "double-fault-amazon-linux-2": Case(_OOPS, 2, ("mount", 3120), "example_resolve"),
        "double-fault-5.4": Case(_OOPS, 2, ("mount", 3120), "example_resolve"),
    },
    "exceptions that only arm64 has": {
        "array-index-trap-arm64": Case(_BUG, 2, ("collectd", 1811), "example_port_of", "aarch64"),
        "brk-handler-arm64": Case(_BUG, 2, ("collectd", 1811), "example_decode_op", "aarch64"),
        "kernel-bug-arm64": Case(_BUG, 2, ("btrees", 1811), "example_merge_nodes", "aarch64"),
        "bad-mode-instruction-arm64": Case(_OOPS, 1, ("collectd", 1811), "example_probe_feature", "aarch64"),
        "unhandled-exception-arm64": Case(_OOPS, 1, ("collectd", 1811), "example_probe_feature", "aarch64"),
    },
    "the hardware": {
        "machine-check-broadcast-timeout": Case(_HARDWARE, 1, ("postgres", 2210), "example_read"),
        "external-abort-arm64": Case(_HARDWARE, 9, ("postgres", 4127), "xfs_buf_item_format", "aarch64"),
        "machine-check": Case(_HARDWARE, 2, None, ""),
        "machine-check-redhat9": Case(_HARDWARE, 6, ("swapper/6", 0), "native_safe_halt", blamed=""),
        "machine-check-arm64": Case(_HARDWARE, 3, ("kworker/3:1", 610), "readl_relaxed", "aarch64"),
        "system-error-arm64": Case(_HARDWARE, 2, ("fio", 1811), "example_read_register", "aarch64"),
        "bad-mode-system-error-arm64": Case(_HARDWARE, 3, ("fio", 1811), "example_read_register", "aarch64"),
    },
    "a title in the middle of a line": {
        "title-behind-a-login-prompt": Case(_PAGE, 0, ("ffmpeg", 2120), "example_fill_frame"),
        "title-behind-a-message-arm64": Case(_NULL, 0, ("ffmpeg", 2120), "example_fill_frame", "aarch64"),
    },
    "memory is out": {
        "out-of-memory-deadlock-redhat8": Case(
            _MEMORY,
            0,
            ("cassandra", 4911),
            "out_of_memory.cold.31",
            blamed="wp_page_copy",
            says=("cassandra (pid 4911), had 3601 of 4096 MiB",),
        ),
        "out-of-memory": Case(_MEMORY, 1, ("eater", 3001), "out_of_memory.cold", blamed="__handle_mm_fault"),
        "out-of-memory-real-guest": Case(
            _MEMORY, 1, ("hd-eater", 1409), "out_of_memory.cold", blamed="hangdump_eat_all_memory"
        ),
        "out-of-memory-redhat7": Case(
            *(_MEMORY, 1, ("httpd", 2210), "oom_kill_process"),
            blamed="filemap_fault",
            says=("the largest process, ruby (pid 7120), had 3601 of 4096 MiB",),
        ),
        "out-of-memory-amazon-linux-2": Case(
            *(_MEMORY, 0, ("sshd", 911), "out_of_memory"), blamed="do_anonymous_page", says=("Web Content (pid 7120)",)
        ),
        "out-of-memory-5.4": Case(
            *(_MEMORY, 0, ("systemd", 1), "out_of_memory.cold"), blamed="filemap_fault", says=("java (pid 4120)",)
        ),
        "out-of-memory-6.8-columns": Case(
            *(_MEMORY, 1, ("kubelet", 2210), "out_of_memory.cold"), blamed="filemap_fault", says=("java (pid 9120)",)
        ),
        "out-of-memory-deadlock-arm64": Case(
            *(_MEMORY, 0, ("kthreadd", 2), "out_of_memory", "aarch64"),
            blamed="dup_task_struct",
            says=("the kernel itself had most", "systemd-udevd (pid 311), had 2 of 1024 MiB"),
        ),
        "out-of-memory-of-a-slab-cache": Case(
            *(_MEMORY, 1, ("dockerd", 1811), "out_of_memory.cold"),
            blamed="filemap_fault",
            says=("slab cache example_conn had 29699 of 32768 MiB",),
        ),
        "out-of-memory-of-many-workers": Case(
            *(_MEMORY, 1, ("httpd", 2011), "out_of_memory.cold"),
            blamed="filemap_fault",
            says=("200 processes httpd had 29722 of 32768 MiB",),
        ),
        "out-of-memory-of-a-cgroup": Case(
            *(_MEMORY, 2, ("worker", 7110), "out_of_memory.cold"),
            blamed="do_anonymous_page",
            says=("the largest process, indexer (pid 7108), had 945 of 1024 MiB",),
        ),
    },
    "init ends, or a part of the kernel gives up": {
        "file-system-error-panics": Case(
            CrashClass.PANIC, 1, ("find", 3120), "ext4_handle_error", blamed="__ext4_iget"
        ),
        "cluster-fences-its-node": Case(
            CrashClass.PANIC, 1, ("kworker/u8:1", 1822), "example_fence_node", says=("this node was fenced",)
        ),
        "init-killed-by-a-signal-arm64": Case(
            _PANIC, 1, ("systemd", 1), "", "aarch64", says=("ended by SIGSEGV",), lacks=("do_exit",)
        ),
        "init-cannot-read-its-disk": Case(
            _PANIC, 0, ("systemd", 1), "", says=("ended by SIGBUS",), warns=("I/O error, dev nvme0n1",)
        ),
        "init-cannot-read-its-disk-long-after-an-oops": Case(
            *(_PANIC, 1, ("systemd", 1), ""),
            says=("ended by SIGBUS", "84501 s before, kernel NULL pointer dereference in example_snap_ioctl"),
        ),
        "init-exits": Case(_PANIC, 0, ("init", 1), "", says=("ended by exit status 1",)),
        "no-root": Case(_PANIC, 0, ("swapper/0", 1), "mount_block_root"),
    },
    "somebody asked for the crash": {
        "sysrq-c": Case(CrashClass.SYSRQ, 1, ("bash", 640), "sysrq_handle_crash"),
        "sysrq-real-guest": Case(CrashClass.SYSRQ, 1, ("hd-sysrq", 1409), "sysrq_handle_crash"),
    },
    "the log does not show the end": {
        "warnings-only": Case(CrashClass.UNKNOWN, None, None, ""),
        "log-of-a-kernel-that-goes-on": Case(CrashClass.UNKNOWN, None, None, "", warns=("soft lockup - CPU#1",)),
        "log-that-stops-in-the-middle-arm64": Case(
            *(CrashClass.UNKNOWN, None, None, "", "aarch64"),
            warns=("task sync:811 blocked",),
            undecidable="how the kernel ended: its log stops before",
        ),
    },
}
