"""triage.json: what a kernel's own words tell about its crash. Unknown is null or empty, never guessed.

Names in the JSON are the camelCase of these. Owns the shape; finding it in a log is the other modules'.
"""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class CrashClass(StrEnum):
    """What kind of trouble stopped the kernel. NMI_HANG: it was interrupted because it hung; the others are its own."""

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
    # A panic that says its reason in words that no class covers.
    PANIC = "panic"
    UNKNOWN = "unknown"


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class Task(_Part):
    """As printk names it: comm is cut at 15 characters, and a thread's pid is its own."""

    name: str = ""
    pid: int | None = None


class Frame(_Part):
    """`symbol+0x<offset>/0x<size> [module]`; an unreliable one (`? symbol`) was only found lying on the stack."""

    symbol: str
    offset: int | None = None
    size: int | None = None
    module: str = ""
    is_reliable: bool = True


class InstructionPointer(_Part):
    """Where the CPU was: RIP, or pc on arm64. In user space there is an address, but no symbol: symbol is ""."""

    symbol: str = ""
    offset: int | None = None
    size: int | None = None
    module: str = ""
    is_user_space: bool = False


class Cpu(_Part):
    """What one CPU was doing; symbol "" in user space, "idle" tasks are named swapper/<cpu>."""

    cpu: int
    task: Task = Task()
    symbol: str = ""
    call_trace: tuple[Frame, ...] = ()


class BlockedTask(_Part):
    """A task in state D. blockedSeconds only where the hung task detector said it."""

    name: str
    pid: int | None = None
    state: str = "D"
    blocked_seconds: int | None = None
    call_trace: tuple[Frame, ...] = ()


class Trouble(_Part):
    """A line that told of trouble before the end; `at` in seconds since boot."""

    at: float | None = None
    text: str


class ProcessMemory(_Part):
    """One row of the out-of-memory killer's list."""

    name: str
    pid: int
    rss_bytes: int


class Memory(_Part):
    """The last Mem-Info of the log, in bytes."""

    total_bytes: int | None = None
    free_bytes: int | None = None
    anonymous_bytes: int | None = None
    file_bytes: int | None = None
    slab_bytes: int | None = None
    # Largest first.
    processes: tuple[ProcessMemory, ...] = ()


class Triage(_Part):
    """All of triage.json."""

    kernel_release: str = ""
    # x86_64 | aarch64
    architecture: str = ""
    uptime_seconds: float | None = None
    panic_message: str = ""
    crash_class: CrashClass = CrashClass.UNKNOWN
    sentence: str = ""
    crashing_cpu: int | None = None
    task: Task | None = None
    instruction_pointer: InstructionPointer | None = None
    call_trace: tuple[Frame, ...] = ()
    # The frame of the trace that the trouble is put down to: that of the scheduler, a lock or the allocator is not.
    blamed: Frame | None = None
    # "" where the log does not tell, else as printed: "Not tainted", "G OE"
    taint: str = ""
    modules: tuple[str, ...] = ()
    hardware: str = ""
    cpus: tuple[Cpu, ...] = ()
    blocked_tasks: tuple[BlockedTask, ...] = ()
    warnings: tuple[Trouble, ...] = ()
    memory: Memory | None = None
    # Hexadecimal; the same for repeats of one trouble, "" when nothing is known to tell it by.
    signature: str = ""
    is_truncated: bool = False

    def as_json(self) -> dict[str, Any]:
        """The object of triage.json."""
        return self.model_dump(mode="json", by_alias=True)
