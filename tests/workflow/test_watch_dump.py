"""A dump that does not get on, as the synthesized state machine sees it."""

import re
import threading
import time

from lab.scripted_machine import ScriptedMachine
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


def test_a_crash_kernel_that_loops_ends_in_panic_no_dump_with_its_console(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    host.machine.on_nmi = loop_in_the_crash_kernel

    ended = stack.run("CollectVmcore", instanceId=ready_instance_id, interrupt=True)

    assert (ended["status"], ended["error"]) == ("FAILED", "panic-no-dump")
    # More than three when a busy computer looks late.
    assert re.search(r"A crash kernel has booted [3-9] times since the interrupt", ended["cause"])
    console = stack.objects_of(ready_instance_id)["console.txt"]
    assert console.count(b"deadlocked on memory") >= 3
    assert host.machine.nmi_count == 1
