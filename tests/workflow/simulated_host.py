"""A Debian host with kdump: what would change it is answered; the other documents really run on its disk."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.machines.composed_dump import LOG_TEXT, kdump_compressed, memory_with_log
from lab.machines.machine import Completed
from lab.machines.scripted_machine import ScriptedMachine
from lab.simulator.modelled_documents import document_of

_DUMP = kdump_compressed(memory_with_log())
# What each snapshot of a dump volume holds.
SNAPSHOTS = Path(tempfile.mkdtemp(prefix="snapshots-"))


class SimulatedHost:
    """Holds what the documents would change; `machine` is what the account drives."""

    def __init__(self) -> None:
        self.machine = ScriptedMachine(
            answers_with=[self._answer],
            on_nmi=self._on_nmi,
            on_copy=self._on_copy,
            boot_seconds=0.2,
            runs_scripts=True,
        )
        self.powers_off = False
        # Called before upload_vmcore sends, with how often it was called before.
        self.before_upload: Callable[[int], None] = lambda _: None
        self._uploads = 0
        # Behind the end of the dump lies nothing that a reader looks at: it makes it as large as an upload should be.
        self.dump_bytes = _DUMP + bytes(range(256)) * 40_000
        # Long before any interrupt: the clocks of guest and account may differ by a minute.
        self._note_boot(int(time.time()) - 3600)

    @property
    def crash_directory(self) -> Path:
        return self.machine.root / "var" / "crash"

    def vmcores(self) -> list[Path]:
        """Every dump on its disk."""
        return sorted(self.crash_directory.glob("*/*dump*"))

    def _write_dump(self) -> None:
        """What kdump-tools leaves behind."""
        stamp = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
        folder = self.crash_directory / stamp
        folder.mkdir(parents=True)
        (folder / f"dmesg.{stamp}").write_text(LOG_TEXT)
        (folder / f"dump.{stamp}").write_bytes(self.dump_bytes)

    @classmethod
    def launched(cls) -> "SimulatedHost":
        """A collector: off until it is started, and younger than every dump."""
        host = cls()
        host.machine.is_on = False
        host._note_boot(int(time.time()))
        return host

    # ---- the kernel

    def panic(self) -> None:
        """By itself, as one of its own triggers makes it: it dumps and comes back."""
        self._on_nmi(self.machine)

    def _on_nmi(self, machine: ScriptedMachine) -> None:
        machine.say("Linux version 6.1.0-28-cloud-amd64\nCommand line: root=/dev/nvme0n1p1 elfcorehdr=0x3c000000")
        machine.say("kdump-tools[217]: running makedumpfile")
        # Dump times are in whole seconds and must lie after the interrupt's second.
        time.sleep(1.1)
        self._write_dump()
        machine.say("kdump-tools[217]: saved vmcore in /var/crash")
        if self.powers_off:
            machine.stop()
        else:
            machine.reboot()
        # Should it be started, it will have booted later than this.
        self._note_boot(int(time.time()))

    def _note_boot(self, booted_epoch: int) -> None:
        proc = self.machine.root / "proc"
        kernel = proc / "sys" / "kernel"
        (kernel / "random").mkdir(parents=True, exist_ok=True)
        (self.machine.root / "run" / "lock").mkdir(parents=True, exist_ok=True)
        (kernel / "random" / "boot_id").write_text(f"00000000-0000-4000-8000-{self.machine.boots:012d}\n")
        (kernel / "osrelease").write_text("6.1.0-28-cloud-amd64\n")
        (proc / "stat").write_text(f"cpu 0 0 0\nbtime {booted_epoch}\n")
        (proc / "meminfo").write_text("MemTotal: 1008640 kB\n")

    def _on_copy(self, _volume_id: str, snapshot_id: str) -> None:
        self.crash_directory.mkdir(parents=True, exist_ok=True)
        shutil.copytree(self.crash_directory, SNAPSHOTS / snapshot_id)

    # ---- the documents

    def _answer(self, script: str, environment: Mapping[str, str]) -> Completed | None:
        document = document_of(script)
        if document == "prepare_dump_volume":
            return _success({"status": "prepared", "device": "/dev/nvme1n1", "mountPoint": "/var/crash"})
        if document == "configure_kdump":
            return _success({"status": "unchanged", "family": "debian", "crashkernel": "192M", "changes": []})
        if document == "check_kdump":
            return _success(
                {"ready": True, "findings": [], "kernel": "6.1.0-28-cloud-amd64", "configId": "0123456789abcdef"}
            )
        if document == "unconfigure_kdump":
            return _success({"status": "unconfigured", "volumeEmpty": environment["SSM_volumeId"] != "none"})
        if document == "mount_dump_copy":
            return self._mount_copy(environment)
        if environment.get("SSM_action") == "upload":
            self.before_upload(self._uploads)
            self._uploads += 1
        return None

    def _mount_copy(self, environment: Mapping[str, str]) -> Completed:
        """What it holds appears at the mount point."""
        disk = self.machine.disks[environment["SSM_volumeId"]]
        shutil.copytree(SNAPSHOTS / disk.snapshot_id, self.machine.root / environment["SSM_mountPoint"].lstrip("/"))
        return _success({"status": "mounted", "journal": "replayed", "mountPoint": environment["SSM_mountPoint"]})


def _success(result: dict[str, Any]) -> Completed:
    return Completed(0, json.dumps(result, separators=(",", ":")), "")


def put_curl_that_reaches(port: int, directory: Path) -> None:
    """The guest's network, as a curl on PATH: 10.0.2.100:80 is the account's port for instances."""
    real = subprocess.run(["which", "curl"], check=True, capture_output=True, text=True).stdout.strip()
    curl = directory / "curl"
    curl.write_text(f'#!/bin/sh\nexec {real} --connect-to 10.0.2.100:80:127.0.0.1:{port} "$@"\n')
    curl.chmod(0o755)
