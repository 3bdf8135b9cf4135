"""The tasks that waited for each CPU."""

from typing import Any

import drgn
from drgn.helpers.linux.cpumask import for_each_online_cpu
from drgn.helpers.linux.sched import cpu_rq, rq_for_each_fair_task, rq_for_each_rt_task

from analysis.backtrace import describe_task

MOST_TASKS = 100


def list_run_queues(program: drgn.Program) -> list[dict[str, Any]]:
    """Real-time tasks first, in the scheduler's order; `tasks` does not include the running one."""
    return [_describe(program, cpu) for cpu in for_each_online_cpu(program)]


def _describe(program: drgn.Program, cpu: int) -> dict[str, Any]:
    queue = cpu_rq(program, cpu)
    running = queue.curr
    waiting = []
    for scheduling, tasks in (("real-time", rq_for_each_rt_task(queue)), ("fair", rq_for_each_fair_task(queue))):
        waiting += [
            {**describe_task(task), "scheduling": scheduling, "priority": task.prio.value_()}
            for task in tasks
            if task.value_() != running.value_()
        ]
    return {
        "cpu": cpu,
        "running": describe_task(running),
        "runnable": queue.nr_running.value_(),
        "tasks": waiting[:MOST_TASKS],
    }
