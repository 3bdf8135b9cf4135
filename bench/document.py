"""Hangdump as a client: upload_vmcore, as assembled, run round by round as the agent runs it, until all is there."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.broker import Broker
from bench.endpoint import BUCKET, Endpoint
from bench.meter import Meter
from lambdas.upload.part_plan import plan_parts
from ssm_documents.assemble import assemble, script_of

MIB = 1024 * 1024
BOOTED_AT_EPOCH = 1795400000
DUMPED_AT_EPOCH = BOOTED_AT_EPOCH - 60
MAX_ROUNDS = 100
LEAST_MEMORY_BYTES = 2 * 1024 * MIB
# The PATH that systemd gives to the agent, so that a contributor's own python3 or curl is not measured.
AGENT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
EXPECTED_BYTES_PER_SECOND = 125 * MIB  # of a gp3 volume as it is deployed by default


class Instance:
    """A root directory with one dump in it."""

    def __init__(self, root: Path, size_bytes: int, *, round_seconds: float = 0.0) -> None:
        """`round_seconds`: what Run Command and the state machine add to each command."""
        self._root = root
        self._round_seconds = round_seconds
        root.mkdir()
        self._script = root / "upload_vmcore.sh"
        self._content = assemble("upload_vmcore")
        self._script.write_text(script_of(self._content))
        self._script.chmod(0o755)
        for path, text in {
            "proc/sys/kernel/random/boot_id": "00000000-0000-4000-8000-000000000001\n",
            "proc/sys/kernel/osrelease": "6.1.0\n",
            "proc/stat": f"btime {BOOTED_AT_EPOCH}\n",
            # No vmcore is larger than the host's memory.
            "proc/meminfo": f"MemTotal: {max(LEAST_MEMORY_BYTES, size_bytes) // 1024} kB\n",
            # Nothing is mounted, so nothing can be beneath a mount point.
            "proc/self/mountinfo": "25 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw\n",
            "sys/kernel/kexec_crash_size": "0\n",
            "run/hangdump": "",
        }.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.vmcore = root / "var" / "crash" / "127.0.0.1-2026-11-23-04:00:00" / "vmcore"
        self.vmcore.parent.mkdir(parents=True)
        _write_dump(self.vmcore, size_bytes)

    def upload(self, meter: Meter, endpoint: Endpoint) -> None:
        """find, then rounds of upload until S3 holds every part, then the completion."""
        report = self._run(meter, action="find")
        found = report["vmcore"]
        plan = plan_parts(
            found["sizeBytes"], memory_bytes=report["memoryBytes"], bytes_per_second=EXPECTED_BYTES_PER_SECOND
        )
        broker = Broker(endpoint.s3, BUCKET, "hangdump", plan)
        for _ in range(MAX_ROUNDS):
            url = broker.next_manifest()
            if url is None:
                break
            self._run(
                meter,
                action="upload",
                manifestUrl=url,
                vmcorePath=found["path"],
                sizeBytes=str(found["sizeBytes"]),
                modifiedEpoch=str(found["modifiedEpoch"]),
            )
        broker.complete()

    def _run(self, meter: Meter, **parameters: str) -> dict[str, Any]:
        defaults = {name: each["default"] for name, each in self._content["parameters"].items()}
        environment = {f"SSM_{name}": value for name, value in {**defaults, **parameters}.items()}
        environment |= {"HOST_ROOT": str(self._root), "PATH": AGENT_PATH}
        time.sleep(self._round_seconds)
        said = meter.run(["sh", "-c", str(self._script)], environment)
        report: dict[str, Any] = json.loads(said)
        return report


def hangdump(endpoint: Endpoint, instance: Instance) -> Callable[[Meter, Path], None]:
    """The same signature as the peers; the file is the instance's own."""
    return lambda meter, _file: instance.upload(meter, endpoint)


def _write_dump(file: Path, size_bytes: int) -> None:
    """It begins as makedumpfile's compressed dumps do; the rest is noise that repeats, which no client looks for."""
    noise = os.urandom(64 * MIB)
    with file.open("wb") as dump:
        dump.write(b"KDUMP   ")
        while (left := size_bytes - dump.tell()) > 0:
            dump.write(noise[:left])
    os.utime(file, (DUMPED_AT_EPOCH, DUMPED_AT_EPOCH))
