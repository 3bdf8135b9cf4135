"""Stacks of three real dumps, as crash 8.0.2 printed them (`bt -a`, without registers) and as drgn read them."""

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.compare_with_crash import compare, read_stacks
from analysis.errors import AnalysisError

STACKS = Path(__file__).with_name("crash_stacks")


def printed(name: str) -> str:
    return (STACKS / f"{name}.txt").read_text()


def ours(name: str) -> list[dict[str, Any]]:
    cpus: list[dict[str, Any]] = json.loads((STACKS / f"{name}.json").read_text())
    return cpus


@pytest.mark.parametrize("name", ["nmi-hang", "soft-lockup", "null-dereference"])
def test_a_real_dump_has_the_same_stacks_but_for_what_is_known(name: str) -> None:
    compared = compare(ours(name), printed(name))
    assert [each.cpu for each in compared] == [0, 1]
    assert [str(each) for each in compared if not each.is_same] == []


def test_what_was_interrupted_is_among_what_is_compared() -> None:
    hung, other = compare(ours("nmi-hang"), printed("nmi-hang"))
    assert hung.by_crash[-3:] == ("hangdump_spin_with_interrupts_off", "kthread", "ret_from_fork")
    # Waits for the CPU that hears nothing.
    assert other.by_crash[:3] == ("smp_call_function_many_cond", "on_each_cpu_cond_mask", "flush_tlb_mm_range")
    assert other.by_crash[-2:] == ("do_syscall_64", "entry_SYSCALL_64")


@pytest.mark.parametrize("name", ["nmi-hang", "soft-lockup"])
@pytest.mark.parametrize("cpu", [0, 1])
def test_any_function_that_one_of_both_lacks_is_a_difference(name: str, cpu: int) -> None:
    shown = compare(ours(name), printed(name))[cpu].ours
    for lost in shown:
        without = ours(name)
        frames = without[cpu]["backtrace"]
        without[cpu]["backtrace"] = [each for each in frames if each["symbol"].partition("+")[0] not in _names(lost)]
        assert not compare(without, printed(name))[cpu].is_same, lost


def test_another_function_is_a_difference_and_is_shown() -> None:
    hung, _ = compare(ours("nmi-hang"), printed("nmi-hang").replace("kthread at", "kthreadd at"))
    assert not hung.is_same
    assert "kthreadd" in str(hung)


@pytest.mark.parametrize("suffix", [".part.0", ".isra.12", ".constprop.0", ".constprop.0.isra.0"])
def test_what_a_compiler_appended_is_no_difference(suffix: str) -> None:
    cpus = json.loads(json.dumps(ours("nmi-hang")).replace("exit_mmap+", f"exit_mmap{suffix}+"))
    assert all(each.is_same for each in compare(cpus, printed("nmi-hang")))


def test_both_names_of_a_system_call_without_arguments_are_the_same() -> None:
    cpus = json.loads(json.dumps(ours("nmi-hang")).replace("exit_mmap+", "__ia32_sys_gettid+"))
    assert all(each.is_same for each in compare(cpus, printed("nmi-hang").replace("exit_mmap ", "__x64_sys_gettid ")))


def test_user_space_has_no_stack_on_either_side() -> None:
    in_user_space, crashed = compare(ours("null-dereference"), printed("null-dereference"))
    assert (in_user_space.by_crash, in_user_space.ours) == ((), ())
    assert crashed.ours == ("hangdump_follow_a_null_pointer", "kthread", "ret_from_fork")


def test_a_cpu_of_which_crash_prints_nothing_is_no_agreement() -> None:
    with pytest.raises(AnalysisError, match=r"no stack of CPU \[0, 1\]"):
        compare(ours("nmi-hang"), "crash: invalid vmlinux\n")


def test_an_interrupted_function_counts_once_where_the_stack_was_switched() -> None:
    assert read_stacks(printed("nmi-hang"))[0].count("hangdump_spin_with_interrupts_off") == 1


def _names(function: str) -> set[str]:
    """A function of the entry code and its labels."""
    labels = {"asm_exc_nmi": {"end_repeat_nmi"}, "entry_SYSCALL_64": {"entry_SYSCALL_64_after_hwframe"}}
    return {function, *labels.get(function, set())}


def test_remains_between_a_system_call_and_its_entry_are_no_difference() -> None:
    cpu = {"cpu": 1, "task": {"name": "insmod"}, "backtrace": [_frame(each) for each in _OF_A_SYSTEM_CALL]}
    frames = [*_OF_A_SYSTEM_CALL[:-1], "syscall_exit_to_user_mode", "entry_SYSCALL_64_after_hwframe"]
    printed = "\n".join(f" #{place} [fffffe7c2a3b1ef0] {name} at ffffffff81a015f8" for place, name in enumerate(frames))
    (compared,) = compare([cpu], f'PID: 602      TASK: ffff9a0a03b0af00  CPU: 1    COMMAND: "insmod"\n{printed}\n')
    assert compared.is_same, compared


_OF_A_SYSTEM_CALL = ("do_init_module", "__do_sys_finit_module", "do_syscall_64", "entry_SYSCALL_64")


def _frame(name: str) -> dict[str, object]:
    return {"symbol": f"{name}+0x10/0x40", "isInline": False}
