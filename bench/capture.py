"""How long a crash takes with each core collector: one real guest, hung, interrupted and collected once for each.

The whole loop runs as it is deployed: ProvisionDumpVolume sets the collector, CollectVmcore interrupts and brings the
vmcore to the (emulated) bucket. What is timed: the dump, from the console; the rest, from the incident's timeline.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.peers import plot
from lab.account import LabAccount
from lab.demo.console import ConsoleWatch
from lab.demo.variant import INSTANCE_TYPES, Variant
from lab.deployment import deploy_hangdump, synthesize_for_lab
from lab.guest import QemuGuest, hang
from lab.image import ensure_image

# The seed procedure's, the default, and what else this makedumpfile can do: (collector, dump level).
COLLECTORS = (
    ("makedumpfile -c --message-level 7", 0),
    ("makedumpfile -l --message-level 7", 31),
    ("makedumpfile -c --message-level 7", 31),
    ("makedumpfile -z --message-level 7", 31),
    ("makedumpfile -l --num-threads 2 --message-level 7", 31),
)
# trixie's makedumpfile has zstd; bookworm's has not.
VARIANT = Variant(release="trixie")
PROVISION_SECONDS = 900
COLLECT_SECONDS = 1500


@dataclass(frozen=True)
class Instance:
    """An enrolled guest in an account with the stack."""

    account: LabAccount
    guest: QemuGuest
    instance_id: str
    bucket: str

    def run(self, machine: str, timeout_seconds: float, **given: Any) -> dict[str, Any]:
        """DescribeExecution's answer at its end."""
        execution = self.account.start_execution(machine, {"instanceId": self.instance_id, **given})
        return self.account.wait_for_execution(execution, timeout_seconds=timeout_seconds)

    def incident(self, prefix: str) -> dict[str, Any]:
        """incident.json as it lies beside the vmcore."""
        body = self.account.client("s3").get_object(Bucket=self.bucket, Key=f"{prefix}incident.json")["Body"]
        incident: dict[str, Any] = json.loads(body.read())
        return incident


@contextmanager
def _instance() -> Iterator[Instance]:
    disk = ensure_image(release=VARIANT.release)
    with tempfile.TemporaryDirectory(prefix="hangdump-bench-") as name, LabAccount() as account:
        scratch = Path(name)
        with QemuGuest(scratch / "guest", disk=disk, s3_port=account.instance_port, hardware=VARIANT.hardware) as guest:
            guest.start()
            outputs = deploy_hangdump(
                account, lambda: synthesize_for_lab(scratch / "cdk.out", {"cooldownSeconds": 60, "fleetBudget": 100})
            )
            guest.wait_until_answers()
            kind = INSTANCE_TYPES[VARIANT.memory_mib]
            instance_id = account.add_instance(guest, instance_type=kind, tags={"hangdump:enrolled": "true"})
            yield Instance(account, guest, instance_id, outputs["VmcoreBucketName"])


def _row(instance: Instance, collector: str, level: int) -> dict[str, Any]:
    name = f"{collector.replace(' --message-level 7', '')} -d {level}"
    ended = instance.run(
        "ProvisionDumpVolume", PROVISION_SECONDS, coreCollector=collector, dumpLevel=level, reboot=True
    )
    if ended["status"] != "SUCCEEDED":
        return {"core_collector": name, "error": f"{ended.get('error')}: {ended.get('cause')}"[:300]}
    hang(instance.guest)
    seen: dict[str, float] = {}
    with ConsoleWatch(instance.guest, lambda now: seen.update({now.phase: time.monotonic()}), every_seconds=0.1):
        ended = instance.run("CollectVmcore", COLLECT_SECONDS, interrupt=True)
    if ended["status"] != "SUCCEEDED":
        return {"core_collector": name, "error": f"{ended.get('error')}: {ended.get('cause')}"[:300]}
    verdict = ended["output"]
    incident = instance.incident(verdict["keys"]["vmcore"].removesuffix("vmcore"))
    at = {entry["event"]: datetime.fromisoformat(entry["at"]) for entry in incident["timeline"]}
    return {
        "core_collector": name,
        # None when the console did not show both.
        "dump_seconds": round(seen["saved"] - seen["dumping"], 1) if {"saved", "dumping"} <= seen.keys() else None,
        "bytes": incident["vmcore"]["sizeBytes"],
        "interrupt_to_object_seconds": round((at["verified"] - at["interrupt-sent"]).total_seconds()),
    }


def measure(results: Path, *, runs: int | None) -> None:
    """Writes capture.json, one row a collector and run, and the guest's console of them all."""
    rows = []
    with _instance() as instance:
        for _ in range(runs or 1):
            for collector, level in COLLECTORS:
                rows.append(_row(instance, collector, level))
                print(json.dumps(rows[-1]), flush=True)
                (results / "capture-console.log").write_text(instance.guest.console())
    file = results / "capture.json"
    file.write_text(json.dumps(rows, indent=1) + "\n")
    plot("capture", file)
