"""A computer without a kernel, for tests: answers as told or runs scripts with the host's shell; hangs on command."""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.machines.machine import Completed, Counters, MachineUnreachable

# Gives the result of a script without running it, or None to let it run.
Answer = Callable[[str, Mapping[str, str]], Completed | None]


@dataclass
class Disk:
    """A disk that was plugged in at least once; `plugged` says whether it is now."""

    volume_id: str
    size_gib: int
    device: str
    plugged: bool = True
    snapshot_id: str = ""


@dataclass
class ScriptedMachine:
    """Implements lab.machines.machine.Machine. Everything asked of it is counted or kept for assertions."""

    # Tried in order; the first that does not answer None wins.
    answers_with: list[Answer] = field(default_factory=list)
    # What nobody answers really runs, with the host's sh, in a directory of its own. Off by default: our documents
    # install packages and make file systems.
    runs_scripts: bool = False
    # What an NMI does: None ignores it, as a kernel without unknown_nmi_panic does.
    on_nmi: Callable[["ScriptedMachine"], None] | None = None
    # Called with volume and snapshot: disks here have no content of their own.
    on_copy: Callable[[str, str], None] | None = None
    boot_seconds: float = 0.05
    # Goes off as soon as it is switched on.
    is_broken: bool = False

    # What the hypervisor counts; None: nothing.
    counts: Counters | None = None
    stalled: set[str] = field(default_factory=set)

    is_on: bool = True
    # The kernel is deaf; with `is_agent_dead` it answers ARP, and nothing is executed.
    hung: bool = False
    is_agent_dead: bool = False
    booting_until: float = 0.0
    boots: int = 1
    nmi_count: int = 0
    reboot_count: int = 0
    start_count: int = 0
    scripts_run: list[str] = field(default_factory=list)
    environments: list[dict[str, str]] = field(default_factory=list)
    disks: dict[str, Disk] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)
    root: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="scripted-machine-")))

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._console = f"Linux version 6.1.0-28-cloud-amd64\nboot {self.boots}\nhost login:\n"

    def is_running(self) -> bool:
        return self.is_on

    def answers_arp(self, timeout_seconds: float) -> bool:
        return self._becomes(self._is_awake, timeout_seconds)

    def answers(self, timeout_seconds: float) -> bool:
        return self._becomes(self._is_reachable, timeout_seconds)

    def _becomes(self, claim: Callable[[], bool], timeout_seconds: float) -> bool:
        deadline = time.monotonic() + timeout_seconds
        while not claim():
            # A hung machine uses up the caller's patience, one that is off refuses at once.
            if not self.is_on or time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        return True

    def counters(self) -> Counters | None:
        return self.counts if self.is_on else None

    def stalled_volumes(self) -> set[str]:
        return self.stalled

    def run(self, script: str, *, environment: Mapping[str, str], timeout_seconds: float) -> Completed:
        if not self._is_reachable():
            raise MachineUnreachable("the scripted machine is hung, booting or off")
        with self._lock:
            self.scripts_run.append(script)
            self.environments.append(dict(environment))
        for answer in self.answers_with:
            completed = answer(script, environment)
            if completed is not None:
                return completed
        if not self.runs_scripts:
            return Completed(127, "", "the scripted machine has no answer for this script, and must not run it\n")
        return self._execute(script, environment, timeout_seconds)

    def attach_disk(self, volume_id: str, size_gib: int, device: str, *, snapshot_id: str = "") -> None:
        with self._lock:
            known = self.disks.get(volume_id)
            self.disks[volume_id] = Disk(volume_id, known.size_gib if known else size_gib, device, True, snapshot_id)

    def detach_disk(self, volume_id: str) -> None:
        with self._lock:
            self.disks[volume_id].plugged = False

    def copy_disk(self, volume_id: str, snapshot_id: str) -> None:
        with self._lock:
            self.copies[snapshot_id] = volume_id
        if self.on_copy is not None:
            self.on_copy(volume_id, snapshot_id)

    def inject_nmi(self) -> None:
        with self._lock:
            self.nmi_count += 1
        if self.on_nmi is not None:
            self.on_nmi(self)

    def reboot(self) -> None:
        with self._lock:
            self.reboot_count += 1
            self._boot()

    def start(self) -> None:
        with self._lock:
            self.start_count += 1
            self.is_on = not self.is_broken
            self._boot()

    def stop(self) -> None:
        with self._lock:
            self.is_on = False

    def console(self) -> str:
        with self._lock:
            return self._console

    def hang(self) -> None:
        """From now on nothing inside answers; power stays on."""
        self.hung = True

    def say(self, text: str) -> None:
        """Write to the serial console."""
        with self._lock:
            self._console += text if text.endswith("\n") else text + "\n"

    def plugged_volume_ids(self) -> list[str]:
        with self._lock:
            return [disk.volume_id for disk in self.disks.values() if disk.plugged]

    def _is_awake(self) -> bool:
        return self.is_on and not self.hung and time.monotonic() >= self.booting_until

    def _is_reachable(self) -> bool:
        return self._is_awake() and not self.is_agent_dead

    def _boot(self) -> None:
        self.hung = self.is_agent_dead = False
        self.boots += 1
        self.booting_until = time.monotonic() + self.boot_seconds
        self.say(f"Linux version 6.1.0-28-cloud-amd64\nboot {self.boots}\nhost login:")

    def _execute(self, script: str, environment: Mapping[str, str], timeout_seconds: float) -> Completed:
        path = self.root / f"_script-{len(self.scripts_run)}.sh"
        path.write_text(script)
        path.chmod(0o700)
        # HOST_ROOT keeps scripts that honour it away from the real computer.
        clean = {"PATH": os.environ["PATH"], "HOME": str(self.root), "HOST_ROOT": str(self.root), **environment}
        try:
            done = subprocess.run(
                ["sh", "-c", str(path)],
                env=clean,
                cwd=self.root,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"script ran longer than {timeout_seconds} s") from error
        return Completed(done.returncode, done.stdout, done.stderr)
