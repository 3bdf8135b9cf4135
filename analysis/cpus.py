"""The task and stack of every CPU."""

from typing import Any

import drgn
from drgn.helpers.linux.cpumask import for_each_online_cpu
from drgn.helpers.linux.sched import cpu_curr

from analysis.backtrace import backtrace, describe_task


def list_cpus(program: drgn.Program) -> list[dict[str, Any]]:
    """The online CPUs with their task and its stack.

    The stack begins with the registers that the kernel saved when it crashed, or, of the other CPUs, when it stopped
    them: without the NMI that stopped them.
    """
    return [_describe(program, cpu) for cpu in for_each_online_cpu(program)]


def _describe(program: drgn.Program, cpu: int) -> dict[str, Any]:
    task = cpu_curr(program, cpu)
    try:
        frames = backtrace(task)
    except (ValueError, LookupError, drgn.FaultError):
        # A CPU that did not react to the crash kernel's NMI leaves no registers.
        frames = []
    return {"cpu": cpu, "task": describe_task(task), "backtrace": frames}
