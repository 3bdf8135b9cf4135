"""The SSM agent's part on a QEMU guest: runs assembled documents in it."""

import json
from typing import Any

from lab.guest import QemuGuest
from lab.machines.machine import MachineUnreachable
from ssm_documents.assemble import assemble, script_of

# A bound, not a measurement: a guest under emulation on a loaded machine.
BOOT_SECONDS = 600


class Agent:
    """Runs documents in the guest as the SSM agent would: parameters as SSM_*, exit code 194 reboots and runs again."""

    def __init__(self, guest: QemuGuest) -> None:
        self.guest = guest
        self.reboots = 0

    def run(self, verb_phrase: str, **parameters: str) -> dict[str, Any]:
        """The document's report."""
        content = assemble(verb_phrase)
        values = {name: parameter["default"] for name, parameter in content.get("parameters", {}).items()} | parameters
        environment = {f"SSM_{name}": value for name, value in values.items()}
        done = self.guest.run(script_of(content), environment=environment, timeout_seconds=900)
        if done.exit_code == 194:
            assert done.stdout == ""
            self.reboots += 1
            self.guest.reboot()
            self.guest.wait_until_answers(BOOT_SECONDS)
            done = self.guest.run(script_of(content), environment=environment, timeout_seconds=900)
        print(f"{verb_phrase} {parameters}: {done.exit_code} {done.stdout[:2000]}\n{done.stderr[-2000:]}")
        report: dict[str, Any] = json.loads(done.stdout)
        assert (done.exit_code != 0) is ("error" in report)
        return report

    def shell(self, script: str) -> str:
        """The output of a few commands."""
        done = self.guest.run(f"#!/bin/bash\nset -eu\n{script}\n", environment={}, timeout_seconds=300)
        assert done.exit_code == 0, done.stderr
        return done.stdout

    def is_back(self, old_boot: str) -> bool:
        """A new boot that is not the crash kernel's, whose user space may answer as well."""
        if not self.guest.answers(3):
            return False
        try:
            state = self.shell("cat /proc/sys/kernel/random/boot_id; test ! -e /proc/vmcore || echo crash kernel")
        except (MachineUnreachable, TimeoutError):
            return False
        return state.strip() != old_boot and "crash kernel" not in state
