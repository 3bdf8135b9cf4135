"""The tasks that hold up RCU's grace period."""

from collections.abc import Iterator

import drgn
from drgn.helpers.linux.cpumask import for_each_online_cpu
from drgn.helpers.linux.percpu import per_cpu
from drgn.helpers.linux.sched import cpu_curr

# One kind of RCU since Linux 4.20; before it each kind had its own.
_DATA = ("rcu_data", "rcu_preempt_data", "rcu_sched_data")


def for_each_staller(program: drgn.Program) -> Iterator[drgn.Object]:
    """The tasks on CPUs without a quiescent state, then the first preempted reader of each node.

    Nothing where the symbols lack RCU's own data. Source: kernel/rcu/tree_stall.h, print_other_cpu_stall().
    """
    name = next((each for each in _DATA if each in program), None)
    if name is None:
        return
    nodes: dict[int, drgn.Object] = {}
    for cpu in for_each_online_cpu(program):
        own = per_cpu(program[name], cpu)
        nodes[own.mynode.value_()] = own.mynode
        if own.mynode.qsmask & own.grpmask:
            yield cpu_curr(program, cpu)
    for node in nodes.values():
        if node.gp_tasks:
            yield drgn.container_of(node.gp_tasks, "struct task_struct", "rcu_node_entry")
