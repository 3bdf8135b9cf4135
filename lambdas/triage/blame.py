"""Which function of a stack to blame: not the one that waits, copies or checks for its caller, but the caller. Pure."""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import takewhile

from lambdas.triage.model import Frame, InstructionPointer

# native_queued_spin_lock_slowpath.part.0 · foo.isra.12.cold · foo.llvm.123456
_SUFFIX = re.compile(r"\.(?:cold|isra|constprop|part|llvm|lto_priv)(?:\.\d+)?(?=\.|$)|\.\d+$")


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


# The compiler's detours around speculation: a function returns, or calls, by way of them.
_THUNKS = r"__x86_\w*thunk\w*|srso_\w+|retbleed_\w+|\w*retpoline\w*"
# Every task's stack ends in these: the entry into the kernel, or the start of the task.
_BOTTOM = _any_of(
    r"entry_SYSCALL_64\w*|entry_SYSENTER\w*|do_syscall_64|do_fast_syscall_32|x64_sys_call|el0t?_\w+|do_el0_svc|invoke_syscall",
    r"system_call_fastpath|ret_from_fork\w*|kthread|ret_from_kernel_thread|child_rip|process_one_work|worker_thread",
    r"start_kernel|x86_64_start_\w+|secondary_startup_64\w*|start_secondary|(?:arch_call_)?rest_init|common_startup_64|kernel_init",
)
# A CPU that sleeps until the next interrupt: it has nothing to do, or waits for a lock (kvm_wait).
_HALT = _any_of(r"(?:pv_|native_|xen_|acpi_|tdx_|arch_)*(?:safe_)?halt")
# A CPU with nothing to do.
_IDLE = _any_of(
    r"default_(?:enter_)?idle\w*|(?:arch_)?cpu_idle(?:_\w+)?|do_idle|cpu_do_idle|cpuidle\w*|call_cpuidle|cpu_startup_entry|poll_idle|psci_\w*(?:idle|suspend)\w*",
    r"(?:intel|acpi|mwait|amd_e400|haltpoll)_idle\w*|acpi_processor_ffh_cstate_enter|(?:native_)?play_dead\w*",
)
# Waits for a disk or the network.
_DEVICE_WAITS = _any_of(
    r"io_schedule\w*|wait_for_completion_io\w*|bit_wait_io\w*|(?:__)?wait_on_buffer|(?:__)?blk_(?:execute_rq|mq_get_tag)\w*",
    r"submit_bio_wait|(?:folio_)?wait_on_page_\w+|folio_wait_\w+|rpc_wait_bit\w*|nfs_wait_bit\w*|xfs_buf_iowait",
    r"(?:__)?rq_qos_(?:wait|throttle)|wbt_wait|(?:__)?cv_(?:timed)?wait_io\w*|md_super_wait",
)
# Waits until another CPU has executed something.
_CPU_WAITS = _any_of(
    r"smp_call_\w+|(?:__)?generic_exec_single|(?:__)?csd_lock_\w+|stop_(?:one_cpu|two_cpus|cpus|machine)\w*|multi_cpu_stop",
    r"(?:rd|wr)msr\w*_on_cpus?|work_on_cpu\w*",
)
# Takes a lock or gives it back, asleep or spinning.
_LOCKS = _any_of(
    r"(?:__)?(?:mutex|ww_mutex|rt_mutex)_\w*lock\w*|mutex_(?:spin_on_owner|optimistic_spin)|rwbase_\w+|(?:call_)?rwsem_\w+",
    r"osq_(?:un)?lock|(?:__)?down(?:_(?:read|write|common|killable|interruptible|timeout|trylock)\w*)?|(?:__)?up(?:_(?:read|write))?",
    r"rt_(?:spin|read|write|down|up)_\w+|rtlock_slowlock\w*|(?:__)?percpu_(?:down|up|rwsem)\w*|cpus_(?:read|write)_(?:un)?lock|(?:get|put)_online_cpus",
    r"(?:__|_|do_)?(?:raw_)?(?:spin|read|write)_(?:try|un)?lock\w*|(?:arch|virt)_(?:spin|read|write)_(?:un)?lock\w*",
    r"(?:native_|__)?(?:pv_)?queued_(?:spin|read|write)_(?:un)?lock\w*|kvm_(?:wait|kick_cpu)|(?:hv|xen)_qlock_\w+|pv_wait\w*",
    r"(?:__)?pv_(?:hash|kick|wait)\w*|ticket_spin_\w+|__ticket_spin_\w+|mcs_spin_\w+|rtnl_(?:net_)?(?:un)?lock\w*|(?:__)?lock_sock\w*",
    r"release_sock|(?:__)?(?:folio_)?lock_page\w*|(?:__)?folio_(?:un)?lock\w*|inode_(?:un)?lock\w*|(?:__)?lock_(?:acquire|release)\w*",
    r"console_(?:un)?lock|lock_two_\w+|dma_resv_(?:un)?lock\w*|(?:__)?local_bh_enable\w*|_local_bh_enable",
    # x86_64's stubs around the unlocking of a paravirtual spinlock
    r"__raw_callee_save_\w+|\.slowpath",
)
# Who gives a lock back does not wait for it, nor does who prints to a slow console.
_WAITS = re.compile(
    r"(?!\w*unlock|wait_for_(?:xmitr|lsr))\w*(?:lock|wait|schedule|sleep|synchronize)\w*|(?:__)?down(?:_\w+)?|smp_call_\w+|(?:__)?flush_work\w*"
)
_CALLED_FOR_OTHERS = _any_of(
    # sleeping
    r"__switch_to(?:_asm)?|context_switch|finish_task_switch|(?:preempt_)?(?:__)?schedule(?:_\w+)?",
    r"(?:do_|__)?wait_for_common(?:_\w+)?|wait_for_completion\w*|(?:out_of_line_|__)?wait_on_bit\w*|bit_wait\w*|wait_woken",
    r"(?:folio_)?wait_(?:bit|on_page_bit|on_page)\w*|do_nanosleep|hrtimer_nanosleep",
    r"(?:m|u|s)sleep\w*|__?const_udelay|(?:__)?[un]?delay(?:_\w+)?|prepare_to_wait\w*|finish_wait|(?:s|rcu)wait_\w+",
    r"(?:__)?cv_(?:timed)?wait\w*|(?:__)?filemap_fdatawait\w*|file(?:map)?_write_and_wait\w*|napi_(?:disable|synchronize)\w*",
    # waiting for other CPUs, tasks and grace periods
    r"on_each_cpu\w*|csd_lock|native_flush_tlb_\w+|kick_all_cpus_sync|(?:__)?flush_(?:work|workqueue|delayed_work|scheduled_work)\w*",
    r"(?:__)?cancel_(?:delayed_)?work\w*|drain_workqueue|kthread_(?:stop|park|flush_\w+|cancel_\w+)|(?:try_to_)?del_timer_sync",
    r"timer_(?:delete|shutdown)_sync|hrtimer_cancel\w*|tasklet_(?:kill|unlock_wait)\w*|synchronize_\w+|(?:__)?synchronize_srcu\w*",
    r"_?(?:s?rcu|rcu_tasks)_barrier\w*|(?:__)?wait_rcu_gp\w*|cond_synchronize_\w+|rcu_exp_\w+|(?:async_)?synchronize_(?:full|cookie)\w*",
    r"(?:__)?lru_add_drain_all",
    # asking for memory or giving it back
    r"dump_header|oom_kill_process|out_of_memory|(?:__)?alloc_pages\w*|(?:__)?alloc_frozen_pages\w*|(?:__)?get_free_pages?",
    r"(?:__)?(?:vma_|filemap_)?(?:alloc_folio|folio_alloc)\w*|__page_cache_alloc|pagecache_get_page|__filemap_get_folio",
    r"(?:__)?k[vm]?(?:malloc|zalloc|calloc|realloc|memdup)\w*|kmem_cache_(?:alloc|free)\w*|_*slab_(?:alloc|free)\w*|allocate_slab",
    r"new_slab|k[vz]?free\w*|_*(?:cache|slab)_free\w*|(?:__)?free_pages?(?!_table)\w*|free_unref_(?:page|folio)\w*|(?:__)?v[mz]alloc\w*|vfree",
    r"get_page_from_freelist|rmqueue\w*|mempool_(?:alloc|free)\w*|try_charge\w*|(?:__)?mem_cgroup_(?:try_)?charge\w*",
    r"mem_cgroup_(?:out_of_memory|handle_oom|oom_synchronize)|vm_area_alloc_pages",
    # waking
    r"try_to_wake_up|ttwu_\w+|s?wake_up\w*|__s?wake_up\w*|\w+_wake_function|complete(?:_all|_with_flags)?|rcu_note_context_switch",
    # printing and formatting
    r"_?printk(?:_\w+)?|vprintk\w*|(?:_|__)?(?:dev|netdev)_(?:printk|emerg|alert|crit|err|warn|notice|info)|printk_\w+|devkmsg_emit",
    r"console_(?:flush|emit|trylock)\w*|call_console_drivers|nbcon_\w+|\w+_console_(?:write|putchar|print)\w*|fbcon_\w+",
    r"(?:io|mem|mem16|mem32)_serial_(?:in|out)\w*|wait_for_(?:xmitr|lsr)|serial8250_(?:tx_empty|put_poll_char)",
    r"v?s(?:cn?|n)?printf|v?sscanf|k(?:v?asprintf)\w*|seq_(?:v?printf|put\w*|write|escape\w*)|sysfs_emit(?:_at)?|string(?:_nocheck)?",
    r"(?:widen|symbol)_string|check_pointer\w*|va_format|pointer|number|put_dec\w*|format_decode",
    # containers: who gave them a broken member calls them
    r"(?:__)?rb_(?:erase|insert|next|prev|first|last|replace_node|link_node|add)\w*|_*xas?_\w+|(?:__)?radix_tree_\w+|id[ra]_\w+",
    r"mas_\w+|mtree_\w+|_*find_(?:first|next|last|nth)\w*_bit\w*|(?:__)?bitmap_(?:set|clear|find|weight|and|or|xor)\w*|klist_\w+",
    r"plist_\w+|llist_\w+|(?:__)?interval_tree_\w+|dql_\w+|_*p?skb_(?:put|push|pull|trim|copy|expand_head)\w*",
    r"skb_(?:over_|under_)?panic",
    # copying and clearing
    r"(?:__)?mem(?:cpy|set|move|cmp|chr)\w*|(?:__)?str(?:n|l|s|r)?(?:len|cpy|cmp|cat|casecmp|chr|str)\w*|rep_(?:movs|stos)\w*",
    r"folio_zero_(?:user|range|segments?)|zero_user\w*|(?:__)?clear_(?:page|huge_page|highpage|user|folio)\w*|copy_(?:mc_|user_)?(?:high)?page(?:_(?!range)\w+)?|copy_user_\w+",
    r"(?:__|_|raw_)?(?:arch_)?copy_(?:from|to|in)_(?:user|iter|kernel)\w*|(?:__)?(?:get|put)_user\w*|copy(?:in|out)|csum_partial\w*",
    # checking: what they find is their caller's doing
    r"(?:__)?list_(?:add|del)\w*(?:valid|report)\w*|(?:__)?refcount_\w+|(?:__)?stack_chk_fail|(?:__)?fortify_\w+|usercopy_abort",
    r"(?:__)?check_(?:object_size|heap_object|memory_region)\w*|(?:__)?(?:ubsan|kasan|asan|kfence|kmsan|kcsan|tsan)_\w+|(?:print|end)_report",
    r"print_address_description\w*|(?:__)?debug_(?:object|print_object|check_no_obj|spin|mutex|rt_mutex)\w*|spin_(?:bug|dump)",
    r"object_err|slab_(?:err|bug|fix)\w*|check_(?:slab|object|bytes_and_report)\w*|(?:alloc|free)_debug_processing|print_trailer",
    r"_*might_(?:sleep|resched|fault)\w*|__schedule_bug|bad_page\w*|free_page_is_bad\w*|check_new_page\w*|report_bug|handle_bug",
    r"(?:__)?ext[234]_(?:handle_error|error\w*|std_error|abort\w*)|(?:__)?btrfs_(?:handle_fs_error|panic|abort_transaction)",
    # the kernel's own patching
    _THUNKS,
    r"__fentry__|ftrace_\w*(?:caller|call|stub)\w*|return_to_handler",
    r"__SC[TK]__\w+|__traceiter_\w+|(?:native_|pv_native_)(?:irq_(?:en|dis)able|save_fl|restore_fl)|arch_local_irq_\w+",
    r"trace_hardirqs_\w+",
    # ending a task, and telling all about it
    r"do_exit|do_group_exit|make_task_dead|rewind_stack_\w+|get_signal|arch_do_signal\w*|exit_to_user_mode\w*|irqentry_exit\w*",
)
# The way into the kernel, and to a softirq's function: it differs between architectures and kernels.
_ENTRIES = _any_of(
    r"(?:__(?:x64|arm64|ia32|se|do)_|__)?sys_\w+|SyS_\w+|ksys_\w+|do_vfs_ioctl|(?:asm_)?exc_\w+|do_user_addr_fault",
    r"(?:__)?do_page_fault|(?:async_)?page_fault|do_mem_abort|do_translation_fault|call_timer_fn|expire_timers",
    r"(?:__)?run_timers?\w*|net_rx_action|(?:__)?napi_poll|(?:__)?do_softirq|handle_softirqs|_stext|tasklet_action\w*",
    r"run_ksoftirqd|smpboot_thread_fn",
)
# Below these, an interrupt's stack shows what it interrupted.
_INTERRUPTS = _any_of(
    r"(?:__)?irq_exit(?:_rcu)?|do_softirq(?:_own_stack)?|call_softirq|(?:asm_)?sysvec_\w+|(?:asm_)?common_interrupt|do_IRQ",
    r"(?:smp_)?apic_timer_interrupt|ret_from_intr|el1h?_(?:64_)?(?:irq|interrupt)\w*|gic_handle_irq|call_on_irq_stack",
    r"(?:generic_)?handle_domain_irq",
)
# Timers that only tell what another has not done.
_DETECTORS = _any_of(r"dev_watchdog")
# Their names differ from boot to boot: a program's tag, an address.
_PER_PROGRAM = _any_of(r"bpf_prog_\w+|bpf_(?:trampoline|dispatcher)_\w+|kprobe_\w*insn\w*|0x[0-9a-f]+")


# Cached, as below: a log of thousands of blocked tasks repeats some dozen names.
@lru_cache(maxsize=4096)
def function_name(symbol: str) -> str:
    """The name in the source, without the suffixes of the compiler and the prefix of arm64's aliases (__pi_memcpy)."""
    return _SUFFIX.sub("", symbol.removeprefix("__pi_"))


def blamed_frame(trace: Sequence[Frame]) -> Frame | None:
    """The innermost reliable frame that acts on its own; if none does, the innermost; None: the CPU was idle, or only
    told of another."""
    sure = [frame for frame in trace if frame.is_reliable]
    if not sure or is_idle(sure) or is_of_detector(sure):
        return None
    return next((frame for frame in sure if not _is_machinery(function_name(frame.symbol))), sure[0])


def is_thunk(frame: Frame | InstructionPointer) -> bool:
    """Whether it is only a detour around speculation, of the function that called it."""
    return re.fullmatch(_THUNKS, frame.symbol) is not None


def telling_names(trace: Sequence[Frame]) -> list[str]:
    """The functions that act on their own, from the blamed one outwards; a recursion counts once. Those that lead to
    them, and what an interrupt interrupted, do not count."""
    if is_idle(trace) or is_of_detector(trace):
        return []
    sure = [frame for frame in trace if frame.is_reliable]
    own = list(takewhile(lambda frame: not is_of_interrupt(frame), sure)) or sure
    names = [function_name(frame.symbol) for frame in own]
    acting = [name for name in names if not _is_machinery(name) and not _PER_PROGRAM.fullmatch(name)]
    telling = [name for name in acting if not _ENTRIES.fullmatch(name)] or acting
    return [name for place, name in enumerate(telling) if place == 0 or name != telling[place - 1]]


def is_of_interrupt(frame: Frame) -> bool:
    """Whether only an interrupt calls this: below it is what was interrupted."""
    return _is_interrupt(function_name(frame.symbol))


def is_idle(trace: Sequence[Frame]) -> bool:
    """Whether a CPU did nothing. A softirq of an idle CPU is not idle."""
    has_frames = False
    for frame in trace:
        if not frame.is_reliable:
            continue
        name = function_name(frame.symbol)
        has_frames = True
        if _is_idle(name):
            return True
        if not _is_machinery(name):
            return False
    return has_frames and all(_HALT.fullmatch(function_name(frame.symbol)) for frame in trace if frame.is_reliable)


def is_of_detector(trace: Sequence[Frame]) -> bool:
    """Whether the report is about another than who made it."""
    names = (function_name(frame.symbol) for frame in trace if frame.is_reliable)
    acting = next((name for name in names if not _is_machinery(name)), "")
    return _DETECTORS.fullmatch(acting) is not None


def is_waiting(trace: Sequence[Frame]) -> bool:
    """Whether the task waits, asleep or spinning, and does nothing of its own."""
    return any(_WAITS.fullmatch(name) for name in _names_above_the_blamed(trace))


def waits_for_cpu(trace: Sequence[Frame]) -> bool:
    """Whether the task spins until another CPU has answered."""
    return any(_CPU_WAITS.fullmatch(name) for name in _names_above_the_blamed(trace))


def waits_for_device(trace: Sequence[Frame]) -> bool:
    """Whether a sleeping task waits for a disk or the network, and not for another task."""
    return any(_DEVICE_WAITS.fullmatch(name) for name in _names_above_the_blamed(trace))


def waits_for_lock(trace: Sequence[Frame]) -> bool:
    """Whether another task keeps this one waiting, by a lock that it holds."""
    return any(_LOCKS.fullmatch(name) for name in _names_above_the_blamed(trace))


def _names_above_the_blamed(trace: Sequence[Frame]) -> list[str]:
    names = (function_name(frame.symbol) for frame in trace if frame.is_reliable)
    return list(takewhile(_is_machinery, names))


@lru_cache(maxsize=4096)
def _is_machinery(name: str) -> bool:
    return any(
        pattern.fullmatch(name) for pattern in (_LOCKS, _CALLED_FOR_OTHERS, _DEVICE_WAITS, _CPU_WAITS, _HALT, _BOTTOM)
    )


@lru_cache(maxsize=4096)
def _is_idle(name: str) -> bool:
    return _IDLE.fullmatch(name) is not None


@lru_cache(maxsize=4096)
def _is_interrupt(name: str) -> bool:
    return _INTERRUPTS.fullmatch(name) is not None
