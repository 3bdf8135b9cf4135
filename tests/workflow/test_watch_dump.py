"""A dump that does not get on, as the synthesized state machine sees it."""

import re
import threading
import time

from lab.guest.deadline import wait_until
from lab.machines.scripted_machine import ScriptedMachine
from tests.workflow.conftest import Stack
from tests.workflow.simulated_host import SimulatedHost

CRASH_KERNEL = "Linux version 6.1.0-28-cloud-amd64\nCommand line: root=/dev/nvme0n1p1 elfcorehdr=0x3c000000"


def loop_in_the_crash_kernel(machine: ScriptedMachine) -> None:
    """It panics itself, before it has written anything, whenever it boots."""

    def crash() -> None:
        for boot in range(20):
            machine.say(
                f"{CRASH_KERNEL}\n[    {boot}.000000] Kernel panic - not syncing: System is deadlocked on memory"
            )
            time.sleep(1.5)

    machine.hung = True
    threading.Thread(target=crash, daemon=True).start()


def test_a_crash_kernel_that_loops_ends_the_wait(stack: Stack, host: SimulatedHost, ready_instance_id: str) -> None:
    host.machine.on_nmi = loop_in_the_crash_kernel

    stack.account.start_execution("CollectVmcore", {"instanceId": ready_instance_id, "interrupt": True})

    def looked() -> str:
        found = stack.account.client("dynamodb").scan(
            TableName=stack.outputs["IncidentTableName"],
            FilterExpression="instanceId = :instance AND lastPhase = :phase",
            ExpressionAttributeValues={":instance": {"S": ready_instance_id}, ":phase": {"S": "looping"}},
        )["Items"]
        return found[0]["timeline"]["L"][-1]["M"]["detail"]["S"] if found else ""

    detail = wait_until(looked, what="the loop is seen", timeout_seconds=90)
    # What follows, a rescue, has its own tests.
    # More than three when a busy computer looks late.
    assert re.search(r"A crash kernel has booted \d+ times since the interrupt", detail)
    assert host.machine.nmi_count == 1
