"""The lines with which a kernel begins a report, and the class of each. Pure.

The patterns follow the kernel's source (panic(), pr_emerg(), die()), 3.10 to 6.18, x86_64 and arm64.
"""

import re
from dataclasses import dataclass

from lambdas.triage.model import CrashClass, Task

# The kinds of titles; below, kind and pattern. The first matching pattern counts.
PANIC, OOPS, SOFT_LOCKUP, HARD_LOCKUP = "panic", "oops", "soft-lockup", "hard-lockup"
HUNG_TASK, RCU_STALL, NMI_BACKTRACE, OUT_OF_MEMORY = "hung-task", "rcu-stall", "nmi-backtrace", "out-of-memory"
SYSRQ, MACHINE_CHECK, WARNING, SHOW_STATE = "sysrq", "machine-check", "warning", "show-state"
RCU_KTHREAD, LOCK_OWNER, STUCK_WORK = "rcu-kthread", "lock-owner", "stuck-work"

_TRAPS = "|".join(
    (
        *("general protection fault", "divide error", "invalid opcode", "double fault", "stack segment", "int3"),
        *("stack guard page", "kernel stack overflow", "bounds", "segment not present", "alignment check"),
        *("control protection", "simd exception", "coprocessor segment overrun", "machine check", "invalid TSS"),
    )
)
_PATTERNS = (
    # Kernel panic - not syncing: NMI: Not continuing
    (PANIC, r"Kernel panic - not syncing: (?P<detail>.{0,300})"),
    # watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [spin:777]
    (
        SOFT_LOCKUP,
        r"(?:NMI )?(?:watchdog: )?BUG: soft lockup - CPU#(?P<cpu>\d{1,5}) stuck for (?P<seconds>\d{1,9})s!"
        r" \[(?P<comm>.{0,40}):(?P<pid>\d{1,10})\]",
    ),
    # NMI watchdog: Watchdog detected hard LOCKUP on cpu 1 · watchdog: CPU2: Watchdog detected hard LOCKUP on cpu 1
    (HARD_LOCKUP, r"(?:NMI )?(?:watchdog: )?(?:CPU\d{1,5}: )?Watchdog detected hard LOCKUP on cpu (?P<cpu>\d{1,5})"),
    # INFO: task jbd2/nvme1n1-8:211 blocked for more than 120 seconds.
    (
        HUNG_TASK,
        r"INFO: task (?P<comm>.{1,40}):(?P<pid>\d{1,10}) blocked (?:in I/O wait )?for more than"
        r" (?P<seconds>\d{1,9}) seconds",
    ),
    # INFO: task cat:211 is blocked on a mutex likely owned by task dd:209. · … <writer> blocked on an rw-semaphore …
    (
        LOCK_OWNER,
        r"INFO: task (?P<detail>.{1,40}:\d{1,10}) (?:<\w{1,8}> )?(?:is )?blocked on an? [\w-]{1,20} likely (?:last )?"
        r"(?:owned|held) by task (?P<comm>.{1,40}):(?P<pid>\d{1,10})",
    ),
    # rcu: INFO: rcu_preempt self-detected stall on CPU · INFO: rcu_sched detected stalls on CPUs/tasks: { 1 3} (EL7)
    (
        RCU_STALL,
        r"(?:rcu: )?INFO: \w{1,32} (?:self-detected stall on CPU|detected (?:expedited )?stalls on CPUs/tasks)"
        r"(?::? ?\{ ?(?P<detail>\d{1,5}(?: \d{1,5}){0,50}) ?\})?",
    ),
    # NMI backtrace for cpu 1 · NMI backtrace for cpu 3 skipped: idling at poll_idle+0x9b/0xb9
    (NMI_BACKTRACE, r"NMI backtrace for cpu (?P<cpu>\d{1,5})(?P<detail> skipped: idling.{0,200})?"),
    (NMI_BACKTRACE, r"(?:rcu: )?(?:Stack|Task) dump (?:where RCU GP kthread last ran|for CPU (?P<cpu>\d{1,5}))"),
    (RCU_KTHREAD, r"(?:rcu: )?RCU grace-period kthread stack dump:"),
    # mysqld invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0
    (OUT_OF_MEMORY, r"(?P<comm>.{1,40}) invoked oom-killer: "),
    (SYSRQ, r"(?:sysrq|SysRq ?): Trigger a crash"),
    (SHOW_STATE, r"(?:sysrq|SysRq ?): .{0,80}"),
    # mce: [Hardware Error]: CPU 1: Machine Check Exception: 5 Bank 3: be00000000800400
    (MACHINE_CHECK, r"(?:mce: )?\[Hardware Error\]: CPU (?P<cpu>\d{1,5}): Machine Check"),
    (MACHINE_CHECK, r"SError Interrupt on CPU(?P<cpu>\d{1,5})"),
    (OOPS, r"BUG: .{1,300}"),
    (OOPS, r"kernel BUG at .{1,300}"),
    (OOPS, r"Unable to handle kernel .{1,200}"),
    (OOPS, r"Internal error: .{1,200}"),
    (OOPS, r"Insufficient stack space to handle exception!"),
    # Until Linux 5.3, and: Bad mode in Error handler detected on CPU3, code 0xbf000002 -- SError
    (OOPS, r"(?:traps: )?PANIC: double fault.{0,100}"),
    (OOPS, r"Bad mode in .{1,60} detected(?: on CPU(?P<cpu>\d{1,5}))?.{0,100}"),
    # Unhandled 64-bit el1h sync exception on CPU1, ESR 0x0000000002000000 -- Unknown/Uncategorized (Linux 5.14)
    (OOPS, r"Unhandled .{1,60} exception on CPU(?P<cpu>\d{1,5}), ESR .{0,100}"),
    # ZFS: VERIFY3(0 == error) failed (0 == 5) · PANIC at dmu.c:12:dmu_write() · PANIC: zfs: adding segment …
    (OOPS, r"VERIFY\d?[A-Z]{0,2}\(.{1,200}\) failed.{0,80}|PANIC(?: at|:) .{1,200}"),
    # LustreError: 2101:0:(osd_handler.c:2017:osd_object_release()) LBUG
    (OOPS, r"LustreError: .{1,200}\) (?:LBUG|ASSERTION\(.{1,200})"),
    # Oops: general protection fault, probably for non-canonical address 0x6b6b6b6b6b6b6b6b: 0000 [#1] PREEMPT SMP
    (OOPS, rf"(?:Oops: )?(?:{_TRAPS})\b[^\[]{{0,160}}: [0-9a-f]{{4}} \[#\d{{1,9}}\]"),
    (OOPS, r"Oops: .{0,200}\[#\d{1,9}\]"),
    (OOPS, r"(?:corrupted stack end|detected buffer overflow) .{0,200}"),
    # WARNING: CPU: 1 PID: 42 at fs/inode.c:330 drop_nlink+0x33/0x40
    (WARNING, r"WARNING: .{1,300}"),
)
_KINDS = tuple((kind, re.compile(pattern)) for kind, pattern in _PATTERNS)
# A fast check, because most lines are no title. A title that does not begin so has "[#" or " invoked oom-killer: ".
_BEGINS = re.compile(
    r"Kernel panic|NMI |watchdog: |BUG: |CPU\d|Watchdog det|INFO: |rcu: |Stack dump|Task dump|RCU grace|[sS]ys[rR]q"
    r"|mce: \[|\[Hardware E|SError I|kernel BUG|Unable to h|Internal error|Insufficient s|traps: P|PANIC|Bad mode in"
    r"|Unhandled |VERIFY|LustreError: |corrupted stack|detected buffer|WARNING: "
)

# Linux's numbers, the same on x86_64 and arm64; the machine that runs this may have others.
_SIGNALS = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}

# Another program's line without an end may stand before these: "ip-10-0-2-15 login: BUG: soft lockup - …"
# Services have internal errors too: only the kernel counts its own, as [#1].
_IN_MID_LINE = re.compile(
    r"(?<!end )(?:Kernel panic - not syncing: |(?:watchdog: )?BUG: (?:soft lockup - |unable to handle |kernel NULL )"
    r"|kernel BUG at |Unable to handle kernel |Internal error: .{1,90}\[#|general protection fault.{0,90}\[#)"
)


# panic_on_warn set ... · KASAN: panic_on_warn set ... · kasan.fault=panic set ... · UBSAN: panic_on_warn set ... ·
# kernel: system warned too often (kernel.warn_limit is 1)
_ENDS_A_REPORT = re.compile(r"(?:[\w ]{1,30}: )?(?:panic_on_warn set|system warned too often)|UBSAN: |KASAN: |kasan")
# Lockdep's warnings are none of WARN(): they never panic. WARNING: CPU: 1 PID: 42 at fs/inode.c:330 … ·
# WARNING: fs/inode.c:330 at drop_nlink+0x33/0x40, CPU#1: rm/42 (Linux 6.18)
_WARN = re.compile(r"WARNING: (?:CPU: \d{1,5} PID: \d{1,10} |\S{1,200}:\d{1,6} )?at ")


def _table(*rows: tuple[CrashClass, str]) -> tuple[tuple[CrashClass, re.Pattern[str]], ...]:
    return tuple((crash_class, re.compile(pattern)) for crash_class, pattern in rows)


_MESSAGES = _table(
    (CrashClass.NMI_HANG, r"NMI: Not continuing"),
    (CrashClass.MACHINE_CHECK, r"NMI IOCK error: Not continuing|NMI: Memory parity"),
    (CrashClass.HARD_LOCKUP, r"(?:Watchdog detected )?[Hh]ard LOCKUP"),
    (CrashClass.SOFT_LOCKUP, r"softlockup: hung tasks"),
    (CrashClass.HUNG_TASK, r"hung_task: blocked tasks"),
    (CrashClass.RCU_STALL, r"RCU Stall"),
    (CrashClass.OUT_OF_MEMORY, r"[Oo]ut of memory|System is deadlocked on memory"),
    (CrashClass.SYSRQ, r"[sS]ys[rR]q triggered crash"),
    (CrashClass.STACK_OVERFLOW, r"[kK]ernel stack overflow|corrupted stack end"),
    # A buffer on the stack overflowed, not the stack.
    (CrashClass.BUG, r"stack-protector: Kernel stack is corrupted"),
    (CrashClass.BUG, _ENDS_A_REPORT.pattern),
    (CrashClass.MACHINE_CHECK, r"Fatal (?:\w+ )?[mM]achine check|Machine check|Fatal hardware error|Memory error"),
    (CrashClass.MACHINE_CHECK, r"Timeout: Not all CPUs entered broadcast|Timeout synchronizing machine check"),
    (CrashClass.MACHINE_CHECK, r"Asynchronous SError|Uncorrected hardware"),
    (CrashClass.WATCHDOG, r"[Ww]atchdog|Software Watchdog Timer expired|SBSA Generic Watchdog timeout"),
    # hpwdt
    (CrashClass.WATCHDOG, r"An NMI occurred"),
)
# "Fatal exception" and the like only end an oops; the oops itself says more.
_AFTER_OOPS = re.compile(
    r"(?:.{1,80}: )?Fatal exception|Attempted to kill|Aiee, killing|Machine halted|Oops|LBUG|bad mode"
    r"|Unhandled exception"
)
# Attempted to kill init! exitcode=0x00000007
_INIT = re.compile(r"Attempted to kill (?:init|the idle task)!(?: exitcode=0x(?P<code>[0-9a-f]{8}))?")
# A report after which the kernel goes on as before, and which is seldom why it stops.
_SURVIVABLE = re.compile(
    r"BUG: (?:sleeping function|scheduling while atomic|workqueue lockup|Bad |non-zero|using |spinlock|MAX_LOCK"
    r"|KASAN|KFENCE|KCSAN|KMSAN)"
)
# Of these, one just before an oops tells why it came.
_BAD_ACCESS = re.compile(r"BUG: (?:KASAN|KFENCE|KMSAN): ")

_OOPSES = _table(
    (CrashClass.STACK_OVERFLOW, r"stack guard page|kernel stack overflow|corrupted stack end|Insufficient stack space"),
    (CrashClass.NULL_DEREFERENCE, r"NULL pointer dereference"),
    (CrashClass.PAGE_FAULT, r"unable to handle (?:page fault|kernel paging request)|Unable to handle kernel"),
    # "divide error: 0000 [#1] PREEMPT SMP KASAN NOPTI" is only of a kernel that has KASAN.
    (CrashClass.BUG, r"kernel BUG at|Oops - BUG|(?:BUG: |Oops - )K\w{1,4}SAN|KFENCE|UBSAN"),
    (CrashClass.BUG, r"sleeping function|scheduling while atomic"),
    (CrashClass.BUG, r"BRK handler|^VERIFY|^PANIC(?: at|:(?! double fault))|LBUG"),
    (CrashClass.BUG, r"Bad page|workqueue lockup|spinlock|Bad rss|buffer overflow"),
    (CrashClass.MACHINE_CHECK, r"machine check|SError|synchronous (?:external abort|parity)"),
)


@dataclass(frozen=True, slots=True)
class Title:
    """The first line of a report; `task` if it names one, `seconds` that the task was stuck or blocked.

    `detail` is what it says besides.
    """

    kind: str
    text: str
    detail: str = ""
    cpu: int | None = None
    task: Task | None = None
    seconds: int | None = None

    @property
    def is_apart(self) -> bool:
        """Whether it always begins a new report. An oops has several titles, which belong together."""
        return self.kind != OOPS

    @property
    def can_panic(self) -> bool:
        """Whether panic_on_warn and its like can make a panic of it."""
        return self.kind == OOPS or (self.kind == WARNING and _WARN.match(self.text) is not None)

    @property
    def is_bad_access(self) -> bool:
        """Whether a checker of the kernel's memory reports."""
        return _BAD_ACCESS.match(self.text) is not None


def read_title(text: str) -> Title | None:
    """None for a line that begins no report."""
    may_begin = _BEGINS.match(text) is not None or "[#" in text or " invoked oom-killer: " in text
    for kind, pattern in _KINDS if may_begin else ():
        found = pattern.match(text)
        if found is not None:
            fields = found.groupdict()
            task = Task(name=fields["comm"].strip(), pid=_number(fields.get("pid"))) if fields.get("comm") else None
            return Title(
                kind,
                text.strip()[:300],
                detail=(fields.get("detail") or "").strip(),
                cpu=_number(fields.get("cpu")),
                task=task,
                seconds=_number(fields.get("seconds")),
            )
    return _read_inside(text)


def _read_inside(text: str) -> Title | None:
    """The title behind another program's line without an end."""
    # Written out: it runs for each line of the log.
    is_possible = "BUG" in text or "Kernel panic" in text or "nable to handle" in text or "Internal error" in text
    if not is_possible and "[#" not in text:
        return None
    inside = _IN_MID_LINE.search(text, 1)
    return read_title(text[inside.start() :]) if inside is not None else None


def class_of_panic(message: str) -> CrashClass | None:
    """The class of the message after "Kernel panic - not syncing: "; None if it only ends an oops."""
    if _AFTER_OOPS.match(message):
        return None
    return next((each for each, pattern in _MESSAGES if pattern.match(message)), CrashClass.PANIC)


def is_end_of_report(message: str) -> bool:
    """Whether the panic with that message only ends the report before it."""
    return _ENDS_A_REPORT.match(message) is not None


def class_of_oops(titles: list[Title]) -> CrashClass:
    """The class of an oops, from all its titles: "BUG: …" and "Oops: …" are lines of one oops."""
    text = "\n".join(title.text for title in titles)
    return next((each for each, pattern in _OOPSES if pattern.search(text)), CrashClass.OOPS)


def is_survivable(titles: list[Title]) -> bool:
    """Whether no title of the report is of a fault that kills a task."""
    return all(_SURVIVABLE.match(title.text) for title in titles if title.kind == OOPS)


def what_ended_init(message: str) -> str:
    """SIGBUS · exit status 1, from the message of the panic; "" when it is about something else."""
    found = _INIT.match(message)
    if found is None:
        return ""
    code = int(found["code"] or "0", 16)
    if not found["code"]:
        return "an unknown cause"
    number = code & 0x7F
    if not number:
        return f"exit status {code >> 8 & 0xFF}"
    return _SIGNALS.get(number, f"signal {number}")


def _number(digits: str | None) -> int | None:
    return int(digits) if digits else None
