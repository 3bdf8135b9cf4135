"""How long a crash takes with each core collector: a real guest, hung, interrupted and collected once with each.

The whole loop runs as it is deployed: ProvisionDumpVolume sets the collector, CollectVmcore interrupts and brings the
vmcore to the (emulated) bucket. What is timed: the dump, from the console; the rest, from the incident's timeline.
"""

import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from analysis.command_line import UserError
from bench.peers import plot
from lab.aws.account import LabAccount
from lab.demo.console import ConsoleWatch
from lab.demo.variant import Variant
from lab.deployment import deploy_hangdump, synthesize_for_lab
from lab.guest import QemuGuest, hang
from lab.image import ensure_image
from lab.image.release import Release
from lab.machines.machine import MachineUnreachable


@dataclass(frozen=True)
class Capture:
    """One way to dump: makedumpfile's options and dump level, and the Debian release that supports them."""

    options: str
    level: int
    release: Release = "bookworm"

    @property
    def core_collector(self) -> str:
        """The name in the rows."""
        return f"makedumpfile {self.options} -d {self.level}"

    def provision_input(self) -> dict[str, Any]:
        """The input of ProvisionDumpVolume."""
        collector = f"makedumpfile {self.options} --message-level 7"
        return {"coreCollector": collector, "dumpLevel": self.level, "reboot": True}


# The seed procedure's, the default, and what else there is. zstd is in trixie's makedumpfile alone, which does not know
# trixie's kernel and leaves less out than it should: it is compared with the default on the same release.
CAPTURES = (
    Capture("-c", 0),
    Capture("-l", 31),
    Capture("-c", 31),
    Capture("-l --num-threads 2", 31),
    Capture("-l", 31, release="trixie"),
    Capture("-z", 31, release="trixie"),
)
# All of 1 GiB through zlib takes an emulated processor minutes: the lab's own 800 s are for the default.
SETTINGS = {
    "dumpTimeoutSeconds": 1800,
    "dumpLimitSeconds": 1800,
    "pollSeconds": 5,
    "uploadTimeoutSeconds": 900,
    "fleetBudget": 100,
    "zoneBudget": 100,
}
PROVISION_SECONDS = 900
COLLECT_SECONDS = 3600


class NotCaptured(UserError):
    """An execution ended without a vmcore; the message is its reason."""


@dataclass(frozen=True)
class Instance:
    """An enrolled guest in an account with the stack."""

    account: LabAccount
    guest: QemuGuest
    instance_id: str
    bucket: str
    table: str

    def forget_interrupt(self) -> None:
        """Ends the cooldown, which is longer than a capture: here the next interrupt is wanted."""
        key = {"pk": {"S": f"instance#{self.instance_id}"}}
        self.account.client("dynamodb").delete_item(TableName=self.table, Key=key)

    def run(self, machine: str, timeout_seconds: float, **given: Any) -> dict[str, Any]:
        """The output of an execution; raises NotCaptured."""
        execution = self.account.start_execution(machine, {"instanceId": self.instance_id, **given})
        ended = self.account.wait_for_execution(execution, timeout_seconds=timeout_seconds)
        if ended["status"] != "SUCCEEDED":
            raise NotCaptured(f"{machine} {ended['status']}: {ended.get('error')}: {ended.get('cause')}")
        output: dict[str, Any] = ended["output"]
        return output

    def incident(self, prefix: str) -> dict[str, Any]:
        """The incident's incident.json."""
        body = self.account.client("s3").get_object(Bucket=self.bucket, Key=f"{prefix}incident.json")["Body"]
        incident: dict[str, Any] = json.loads(body.read())
        return incident


@contextmanager
def _instance(release: Release, assembly: Path, consoles: Path) -> Iterator[Instance]:
    variant = Variant(release=release)
    disk = ensure_image(release=release)
    with (
        tempfile.TemporaryDirectory(prefix="hangdump-bench-") as scratch,
        LabAccount() as account,
        QemuGuest(
            Path(scratch) / "guest", disk=disk, s3_port=account.instance_port, hardware=variant.hardware
        ) as guest,
    ):
        guest.start()
        outputs = deploy_hangdump(account, lambda: assembly)
        guest.wait_until_answers()
        tags = {"hangdump:enrolled": "true"}
        instance_id = account.add_instance(guest, instance_type=variant.instance_type, tags=tags)
        try:
            yield Instance(account, guest, instance_id, outputs["VmcoreBucketName"], outputs["IncidentTableName"])
        finally:
            with consoles.open("a") as log:
                log.write(guest.console())


def _measured(instance: Instance, capture: Capture) -> dict[str, Any]:
    instance.run("ProvisionDumpVolume", PROVISION_SECONDS, **capture.provision_input())
    instance.forget_interrupt()
    hang(instance.guest)
    seen: dict[str, float] = {}
    with ConsoleWatch(instance.guest, lambda now: seen.update({now.phase: time.monotonic()}), every_seconds=0.1):
        verdict = instance.run("CollectVmcore", COLLECT_SECONDS, interrupt=True)
    incident = instance.incident(verdict["keys"]["vmcore"].removesuffix("vmcore"))
    at = {entry["event"]: datetime.fromisoformat(entry["at"]) for entry in incident["timeline"]}
    return {
        # None when the console did not show both.
        "dump_seconds": round(seen["saved"] - seen["dumping"], 1) if {"saved", "dumping"} <= seen.keys() else None,
        "bytes": incident["vmcore"]["sizeBytes"],
        "interrupt_to_object_seconds": round((at["verified"] - at["interrupt-sent"]).total_seconds()),
    }


def _rows(captures: Sequence[Capture], assembly: Path, consoles: Path) -> Iterator[dict[str, Any]]:
    """A row a capture: what was measured, or why there is nothing.

    Captures of one release follow each other on one guest, which each crash boots anew. One that brings nothing home
    takes its guest with it, in whatever state that is: the next has a fresh one.
    """
    waiting = list(captures)
    while waiting:
        release = waiting[0].release
        try:
            with _instance(release, assembly, consoles) as instance:
                while waiting and waiting[0].release == release:
                    measured = _measured(instance, waiting[0])
                    yield _named(waiting.pop(0)) | measured
        except (NotCaptured, MachineUnreachable, TimeoutError) as error:
            nothing = dict.fromkeys(("dump_seconds", "bytes", "interrupt_to_object_seconds"))
            yield _named(waiting.pop(0)) | nothing | {"error": f"{type(error).__name__}: {error}"[:500]}


def _named(capture: Capture) -> dict[str, Any]:
    return {"core_collector": capture.core_collector, "release": capture.release}


def measure(results: Path, *, runs: int | None) -> None:
    """Writes capture.json, one row a collector and run, and the guests' consoles of them all."""
    rows = []
    file, consoles = results / "capture.json", results / "capture-console.log"
    consoles.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="hangdump-bench-") as scratch:
        assembly = synthesize_for_lab(Path(scratch) / "cdk.out", SETTINGS)
        for _ in range(runs or 1):
            for row in _rows(CAPTURES, assembly, consoles):
                rows.append(row)
                print(json.dumps(row), flush=True)
                file.write_text(json.dumps(rows, indent=1) + "\n")
    plot("capture", file)
