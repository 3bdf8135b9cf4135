"""Pairs of logs: of one bug, met again elsewhere, and of two bugs that look alike. All from logs of the corpus."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.lambdas.triage.triage_cases import read

_PLACE = r"\+0x[0-9a-f]+/0x[0-9a-f]+"


@dataclass(frozen=True)
class Pair:
    """Two logs, and how they differ."""

    name: str
    first: str
    second: str


def _corpus(first: str, second: str) -> Pair:
    return Pair(f"{first}--{second}", read(first), read(second))


def _changed(name: str, change: Callable[[str], str]) -> Pair:
    log = read(name)
    other = change(log)
    assert other != log, f"{change.__name__} changes nothing in {name}"
    return Pair(f"{name}--{change.__name__.strip('_')}", log, other)


def _another_build(log: str) -> str:
    """Other offsets, and other choices of the compiler about a function's parts."""
    moved = re.sub(r"\+0x([0-9a-f]+)/0x([0-9a-f]+)", r"+0x1\1/0x9\2", log)
    return re.sub(rf"(?m)(example_\w+|__schedule|__mutex_lock)(?:\.constprop\.0)?({_PLACE})", r"\1.isra.0\2", moved)


def _another_machine(log: str) -> str:
    """Other pids, other CPUs, another size of the machine; the idle tasks keep pid 0."""
    moved = re.sub(r"(?<=[Pp][Ii][Dd]: )(?!0 )(\d+)", r"4\1", log)
    moved = re.sub(r"(?<=pid:)(?!0 )(\d+)", r"4\1", moved)
    moved = re.sub(r"(?<=task )(\S+:)(\d+)", r"\g<1>4\2", moved)
    moved = re.sub(r"(?<=Comm: swapper/)(\d+)", r"3\1", re.sub(r"(?<=CPU: )(\d+)", r"3\1", moved))
    moved = re.sub(r"(?<=CPU#)(\d+)", r"3\1", moved)
    moved = re.sub(r"(?<=kworker/)(\d+):(\d)", r"3\1:1\2", moved)
    return re.sub(r"(?<= on cpu )\d+|(?<=for cpu )\d+|(?<= on CPU )\d+|(?<=rcu: \t)\d+(?=-)", r"3\g<0>", moved)


def _a_newer_kernel(log: str) -> str:
    """Linux 6.12 prints the user's id and the thread group, and names the way into a system call otherwise."""
    newer = re.sub(r"\d+\.\d+\.\d+-\S+(?= #)", "6.12.37-61.105.amzn2023.x86_64", log)
    newer = re.sub(r"(CPU: \d+) PID: ", r"\1 UID: 0 PID: ", newer)
    newer = re.sub(r"pid: *(\d+) +ppid: *(\d+) +flags", r"pid:\1     tgid:\1     ppid:\2     flags", newer)
    return newer.replace(" __do_softirq+", " handle_softirqs+").replace(" ksys_", " __x64_sys_")


# Without what only x86 prints: stack markers, the summary after the end of the trace.
_ONLY_X86 = re.compile(r"(?m)^\[[ \d.]+\] (?: </?(?:TASK|IRQ|NMI)>|#PF: .*|RSP: .*)\n")
_REGISTERS = re.compile(
    rf"(?m)^(?P<at>\[[ \d.]+\]) RIP: 0010:(?P<where>\S+{_PLACE}(?: \[\w+\])?)$"
    r"(?P<between>(?:\n(?!.*Call Trace:).*)*\n.*Call Trace:)"
)
_TO_ARM64 = (
    (_ONLY_X86, ""),
    (_REGISTERS, r"\g<at> pc : \g<where>\g<between>\n\g<at>  \g<where>"),
    (re.compile(r"(?m)^\[[ \d.]+\] RIP: .*\n"), ""),
    (re.compile("Call Trace:"), "Call trace:"),
    (re.compile(rf" do_syscall_64{_PLACE}"), " invoke_syscall+0x48/0x110"),
    (re.compile(rf" entry_SYSCALL_64\w*{_PLACE}"), " el0t_64_sync+0x19c/0x1a0"),
    (re.compile("x86_64|amd64"), "aarch64"),
    (re.compile("__x64_sys_"), "__arm64_sys_"),
    (re.compile("native_queued_spin_lock_slowpath"), "queued_spin_lock_slowpath"),
    (re.compile(rf"(?m)^(\[[ \d.]+\] ) (__schedule{_PLACE})"), r"\1 __switch_to+0xc8/0x118\n\1 \2"),
    (re.compile("BUG: (kernel NULL pointer dereference), address: "), r"Unable to handle \1 at virtual address "),
    (
        re.compile("BUG: unable to handle page fault for (address): "),
        r"Unable to handle kernel paging request at virtual \1 ",
    ),
    (re.compile(r"(?m)^\[[ \d.]+\]  \? .*\n"), ""),
    (re.compile(" asm_sysvec_apic_timer_interrupt"), " el1h_64_irq"),
    (re.compile(r"Oops: (?:Oops: )?0[0-9a-f]{3} \[#(\d)\].*"), r"Internal error: Oops: 0000000096000004 [#\1] SMP"),
)


def _arm64(log: str) -> str:
    """The same on Graviton: its registers, its titles, its way into the kernel and its spinlock."""
    for pattern, replacement in _TO_ARM64:
        log = pattern.sub(replacement, log)
    return log


def _deeper(log: str) -> str:
    """A recursion that went on for longer."""
    again = r"(?m)^(.*(?:recurse_for_ever|hangdump_recurse_without_end|example_resolve)\+.*\n)"
    return re.sub(again, r"\1\1\1\1", log)


def _on_another_task(log: str) -> str:
    """The interrupt came while another task ran."""
    other = re.sub(r"Comm: (?:postgres|swapper/\d+)", "Comm: java", re.sub(r"PID: (?:3120|0) ", "PID: 877 ", log))
    return re.sub(
        r"vfs_read|tcp_sendmsg|copy_page_to_iter|ip_finish_output2|default_idle|do_idle", "ext4_map_blocks", other
    )


def _asked_by_another(log: str) -> str:
    """Another task wanted a page when memory was out."""
    asker = re.sub(r"\S+(?= invoked oom-killer)|(?<=Comm: )\S+", "sshd", log)
    return re.sub(r"filemap_fault|dup_task_struct", "ext4_da_write_begin", asker)


def _another_culprit(log: str) -> str:
    """Another function calls the same machinery, from another driver."""
    return re.sub(r"example_\w+", lambda found: f"other_{found[0][8:]}", log)


_SPINS = ("hard-lockup-seen-by-its-neighbour", "earlier-oops-then-an-interrupt-on-a-busy-cpu", "soft-lockup-on-unlock")
_HUNG = ("hung-task-flush-work", "hung-task-synchronize-rcu", "hung-task-writer-of-a-semaphore")
_OOPSES = ("two-cpus-fault-at-once", "title-behind-a-login-prompt", "call-through-a-null-pointer")
_SOFTIRQS = ("softirq-crash-arm64", "softirq-crash-on-the-way-out-of-a-send", "softirq-crash-redhat7")

SAME = (
    *(_changed(name, _another_build) for name in (*_SPINS, *_HUNG, *_OOPSES, "list-add-corruption")),
    *(_changed(name, _another_machine) for name in (*_SPINS, *_HUNG, *_OOPSES, "idle-cpu-rcu-stall-elsewhere")),
    *(_changed(name, _a_newer_kernel) for name in (*_HUNG[:2], "soft-lockup-clear-page", "kvm-spins-for-a-lock")),
    _changed("kvm-spins-for-a-lock-in-a-softirq", _a_newer_kernel),
    *(_changed(name, _arm64) for name in (*_HUNG, *_OOPSES[:2], "soft-lockup-on-unlock", "soft-lockup-clear-page")),
    *(_changed(name, _arm64) for name in ("hard-lockup-seen-by-its-neighbour", "hung-task-rtnl-lock")),
    *(_changed(name, _deeper) for name in ("stack-overflow", "stack-overflow-real-guest", "double-fault-5.4")),
    *(_changed(name, _on_another_task) for name in (*_SOFTIRQS, "panic-and-its-fallout")),
    _corpus("hung-tasks-cron-first", "hung-tasks-journal-first"),
    _corpus("idle-cpu-disk-redhat7", "nmi-on-idle-cpu-disk-stalled"),
    _corpus("idle-cpu-disk-redhat7", "idle-cpu-blocked-tasks-shown-by-sysrq"),
    _corpus("two-cpus-fault-at-once", "two-cpus-fault-at-once-arm64"),
    _corpus("hard-lockup-seen-by-its-neighbour", "hard-lockup-seen-by-its-neighbour-arm64"),
    _corpus("softirq-crash-arm64", "softirq-crash-redhat7"),
    _corpus("softirq-crash-redhat7", "softirq-crash-on-the-way-out-of-a-send"),
    _corpus("double-fault-amazon-linux-2", "double-fault-5.4"),
    _corpus("out-of-memory-5.4", "out-of-memory-6.8-columns"),
    _corpus("null-dereference", "null-dereference-arm64"),
    _corpus("idle-cpu-disk-a-day-after-kfence", "idle-cpu-disk-after-a-service-had-an-internal-error"),
    _corpus("idle-cpu-disk-ten-warnings-used-up", "idle-cpu-disk-ten-warnings-used-up-long-before"),
    _corpus("idle-cpu-disk-ten-warnings-used-up", "idle-cpu-disk-a-day-after-an-oops"),
    _corpus("kasan-fault-panics", "kasan-panics-long-after-lockdep"),
    _changed("out-of-memory-of-a-slab-cache", _asked_by_another),
    _changed("out-of-memory-of-many-workers", _asked_by_another),
    _changed("out-of-memory-deadlock-arm64", _asked_by_another),
    _changed("warning-that-panics-of-a-transmit-queue", _on_another_task),
    _corpus("init-cannot-read-its-disk", "init-cannot-read-its-disk-long-after-an-oops"),
)

# Of each of these, the machinery above the culprit and the entry below it stay.
_ALIKE = (
    *(*_SPINS, *_HUNG, *_OOPSES, *_SOFTIRQS, "kvm-spins-for-a-lock", "kvm-spins-for-a-lock-in-a-softirq"),
    *("list-add-corruption", "refcount-underflow-panics", "stack-protector-module", "fault-in-an-indirect-thunk"),
    *("interrupt-in-a-return-thunk", "memcpy-beyond-a-page", "usercopy-overrun", "double-free-found-by-slub"),
    *("kasan-use-after-free", "warning-that-panics-redhat8", "idle-cpu-soft-lockup-redhat7", "brk-handler-arm64"),
)
DIFFERENT = (
    *(_changed(name, _another_culprit) for name in _ALIKE),
    _corpus("hung-task-mutex-of-a-file-system", "hung-task-mutex-of-the-network"),
    _corpus("hung-task-synchronize-rcu", "hung-task-synchronize-sched-redhat7"),
    _corpus("hung-task-flush-work", "hung-task-cancel-work-redhat8"),
    _corpus("hung-tasks-cron-first", "hung-tasks-waiting-for-a-tag"),
    _corpus("idle-cpu-nfs-write-back", "idle-cpu-disk-redhat7"),
    _corpus("idle-cpu-after-a-kernel-bug", "nmi-on-idle-cpu-after-an-oops"),
    _corpus("idle-cpu-after-a-zfs-verify", "idle-cpu-after-a-lustre-assertion"),
    _corpus("soft-lockup-waits-for-a-cpu-that-was-shown", "soft-lockup-waits-for-a-cpu-redhat7"),
    _corpus("soft-lockup-in-printk", "soft-lockup-in-printk-of-another"),
    _corpus("skb-put-beyond-its-end", "skb-put-beyond-its-end-by-another"),
    _corpus("warning-that-panics-of-a-transmit-queue", "warning-that-panics-of-another-drivers-queue"),
    _corpus("soft-lockup-on-unlock", "soft-lockup-on-unlock-slow-path-arm64"),
    _corpus("soft-lockup-waits-for-a-cpu-arm64", "soft-lockup-waits-for-a-cpu-redhat7"),
    _corpus("list-add-corruption", "list-del-corruption"),
    _corpus("refcount-underflow-panics", "refcount-addition-on-zero-arm64"),
    _corpus("usercopy-overrun", "usercopy-overrun-arm64"),
    _corpus("kasan-use-after-free", "kasan-out-of-bounds-arm64"),
    _corpus("out-of-memory-redhat7", "out-of-memory-of-a-cgroup"),
    _corpus("out-of-memory-of-a-slab-cache", "out-of-memory-of-many-workers"),
    _corpus("init-killed-by-a-signal-arm64", "init-cannot-read-its-disk"),
)
