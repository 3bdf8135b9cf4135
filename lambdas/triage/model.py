"""The shape of triage.json: the facts of a crash from the kernel's log, in camelCase. Unknown is null or empty."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class CrashClass(StrEnum):
    """The kind of fault that stopped the kernel. NMI_HANG: the diagnostic interrupt stopped a hung kernel."""

    NMI_HANG = "nmi-hang"
    HARD_LOCKUP = "hard-lockup"
    SOFT_LOCKUP = "soft-lockup"
    HUNG_TASK = "hung-task"
    OOPS = "oops"
    BUG = "bug"
    PAGE_FAULT = "page-fault"
    NULL_DEREFERENCE = "null-dereference"
    STACK_OVERFLOW = "stack-overflow"
    RCU_STALL = "rcu-stall"
    OUT_OF_MEMORY = "out-of-memory"
    MACHINE_CHECK = "machine-check"
    SYSRQ = "sysrq"
    WATCHDOG = "watchdog"
    # A panic whose message no class covers.
    PANIC = "panic"
    UNKNOWN = "unknown"


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class Task(_Part):
    """A task as printk names it: comm has at most 15 characters, and pid is the thread's."""

    name: str = ""
    pid: int | None = None


class Frame(_Part):
    """`symbol+0x<offset>/0x<size> [module]`; an unreliable frame (`? symbol`) is just an address on the stack."""

    symbol: str
    offset: int | None = None
    size: int | None = None
    module: str = ""
    is_reliable: bool = True


class InstructionPointer(_Part):
    """The CPU's RIP (pc on arm64). In user space symbol is ""."""

    symbol: str = ""
    offset: int | None = None
    size: int | None = None
    module: str = ""
    is_user_space: bool = False


class Cpu(_Part):
    """One CPU's task; symbol is "" where the log shows no trace, and the idle tasks are named swapper/<cpu>."""

    cpu: int
    task: Task = Task()
    symbol: str = ""
    is_user_space: bool = False
    call_trace: tuple[Frame, ...] = ()


class BlockedTask(_Part):
    """A task in state D; only the hung task detector gives blockedSeconds."""

    name: str
    pid: int | None = None
    state: str = "D"
    blocked_seconds: int | None = None
    call_trace: tuple[Frame, ...] = ()


class BlockedGroup(_Part):
    """Blocked tasks whose names differ only in digits and that wait in one function.

    `name` and `blockedSeconds` are those of the task that was blocked longest.
    """

    name: str
    symbol: str = ""
    count: int
    blocked_seconds: int | None = None


class Trouble(_Part):
    """A line about a fault before the crash; `at` in seconds since boot."""

    at: float | None = None
    text: str


class ProcessMemory(_Part):
    """One row of the out-of-memory killer's list."""

    name: str
    pid: int
    rss_bytes: int


class Memory(_Part):
    """The last Mem-Info of the log, in bytes; or the limit and the processes of the cgroup that was out of memory."""

    total_bytes: int | None = None
    free_bytes: int | None = None
    anonymous_bytes: int | None = None
    file_bytes: int | None = None
    slab_bytes: int | None = None
    # Largest first.
    processes: tuple[ProcessMemory, ...] = ()


class Triage(_Part):
    """The whole of triage.json."""

    kernel_release: str = ""
    # x86_64 | aarch64
    architecture: str = ""
    cpu_count: int | None = None
    uptime_seconds: float | None = None
    panic_message: str = ""
    crash_class: CrashClass = CrashClass.UNKNOWN
    sentence: str = ""
    crashing_cpu: int | None = None
    task: Task | None = None
    instruction_pointer: InstructionPointer | None = None
    call_trace: tuple[Frame, ...] = ()
    # The innermost frame outside the scheduler, locks and the allocator: the cause is most likely there.
    blamed: Frame | None = None
    # As printed: "Not tainted", "G OE"; "": unknown
    taint: str = ""
    modules: tuple[str, ...] = ()
    hardware: str = ""
    cpus: tuple[Cpu, ...] = ()
    # The longest blocked; of all there were `blocked_task_count`.
    blocked_tasks: tuple[BlockedTask, ...] = ()
    blocked_task_count: int = 0
    # All of them, also those that the list above is too short for; the longest blocked first.
    blocked_groups: tuple[BlockedGroup, ...] = ()
    warnings: tuple[Trouble, ...] = ()
    memory: Memory | None = None
    # Hexadecimal; the same for crashes with the same cause. "": too little is known.
    signature: str = ""
    is_truncated: bool = False

    def as_json(self) -> dict[str, Any]:
        """The object of triage.json."""
        return self.model_dump(mode="json", by_alias=True)
