"""CPUs and blocked tasks are shown by what they do, and none is lost."""

from lambdas.report import render
from lambdas.report.analysis_model import read_analysis
from lambdas.report.processors import draw_blocked, draw_processors
from lambdas.triage import triage
from lambdas.triage.model import BlockedGroup as TriagedGroup
from lambdas.triage.model import Cpu, CrashClass, Frame, InstructionPointer, Task, Triage
from tests.lambdas.report import incidents
from tests.lambdas.triage.triage_cases import read

NO_ANALYSIS = read_analysis(None)


def test_cpus_with_the_same_stack_are_one_group_and_the_odd_one_comes_first() -> None:
    drawn = draw_processors(triage(incidents.crowd_log(448)), NO_ANALYSIS)
    assert [(group.title, group.doing) for group in drawn.groups] == [
        ("CPU 211, interrupted here", "runs example_hold"),
        ("446 CPUs: 1\u2013210, 212\u2013447", "waits in dentry_unlink"),
        ("CPU 0", "idle"),
    ]
    assert drawn.sentence == "446 CPUs wait in dentry_unlink; CPU 211 runs example_hold; CPU 0 is idle."


def test_the_interrupted_one_of_a_group_is_named() -> None:
    (group,) = draw_processors(incidents.SPINNING, NO_ANALYSIS).groups
    assert (group.title, group.doing) == ("2 CPUs: 0\u20131, CPU 0 interrupted here", "user space")


def test_blocked_tasks_are_counted_by_name_and_function() -> None:
    drawn = draw_blocked(triage(incidents.blocked_log(27)), NO_ANALYSIS)
    shown = {(group.name, group.count, group.where) for group in drawn.groups}
    assert shown == {
        ("jbd2/nvme1n1-8", 1, "jbd2_journal_commit_transaction"),
        ("postgres-1", 18, "jbd2_log_wait_commit"),
        ("backup", 8, "wait_transaction_locked"),
    }
    assert (drawn.count, drawn.left_out) == (27, 0)


def test_blocked_tasks_that_no_list_can_show_are_grouped_with_the_others() -> None:
    told = triage(incidents.blocked_log(5000))
    drawn = draw_blocked(told, NO_ANALYSIS)
    assert len(told.blocked_tasks) < 5000
    assert sum(group["count"] for group in told.as_json()["blockedGroups"]) == 5000
    assert {(group.count, group.where) for group in drawn.groups} == {
        (1, "jbd2_journal_commit_transaction"),
        (3333, "jbd2_log_wait_commit"),
        (1666, "wait_transaction_locked"),
    }
    assert (drawn.count, drawn.left_out) == (5000, 0)


def test_a_group_of_which_no_task_is_listed_has_its_name_count_and_wait() -> None:
    group = TriagedGroup(name="late-7", symbol="example_wait", count=31, blocked_seconds=125)
    (drawn,) = draw_blocked(Triage(blocked_groups=(group,), blocked_task_count=31), NO_ANALYSIS).groups
    assert (drawn.name, drawn.count, drawn.pids, drawn.where, drawn.trace) == ("late-7", 31, "", "example_wait", ())
    assert drawn.waited


def test_a_triage_of_before_there_were_groups_counts_the_tasks_that_it_lists() -> None:
    told = triage(incidents.blocked_log(5000)).model_copy(update={"blocked_groups": ()})
    drawn = draw_blocked(told, NO_ANALYSIS)
    assert sum(group.count for group in drawn.groups) == len(told.blocked_tasks)
    assert drawn.left_out == 5000 - len(told.blocked_tasks)


def test_a_cpu_without_a_trace_is_not_in_user_space() -> None:
    told = Triage(crash_class=CrashClass.OOPS, cpus=(Cpu(cpu=3, task=Task(name="java", pid=9)),))
    (group,) = draw_processors(told, NO_ANALYSIS).groups
    assert (group.doing, group.task) == ("", "java (9)")
    assert "no trace in the log" in render(incidents.CAPTURED, told)


def test_no_frame_of_a_trace_is_shown_twice() -> None:
    pointer = InstructionPointer(symbol="example_spin", offset=1, size=2)
    told = Triage(instruction_pointer=pointer, call_trace=(Frame(symbol="example_spin", offset=1, size=2),))
    assert render(incidents.CAPTURED, told).count("example_spin") == 1


def test_the_cpu_is_not_said_to_have_crashed_where_it_was_only_found() -> None:
    assert "found here" in render(incidents.CAPTURED, triage(read("list-del-corruption")))
    assert "crashed here" in render(incidents.CAPTURED, triage(read("null-dereference")))
    assert "interrupted here" in render(incidents.CAPTURED, triage(read("nmi-kernel-thread-x86_64")))


def test_an_incident_without_a_sentence_has_its_verdict_as_headline() -> None:
    page = render(incidents.LITTLE_KNOWN)
    assert '<h1 id="cause">The kernel crashed, but wrote no vmcore.</h1>' in page
