"""The demo's drill in acts: boot, deploy, launch a twin, make it ready, hang it, collect, prove.

The first guest is the instance that is drilled: nothing may happen to it. Its twin is a second guest, which the account
launches when DrillDump asks for it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from lab.aws.account import LabAccount
from lab.aws.event_log import Event
from lab.demo.proof import Culprit, Proof, prove, prove_report
from lab.demo.stage import DemoFailed, Stage
from lab.demo.variant import Variant
from lab.deployment import Deployment
from lab.guest.deadline import wait_until
from lab.guest.qemu_guest import QemuGuest
from lab.launched_guests import launched_guests

# Bounds, not measurements: without KVM a whole drill takes half an hour.
_READY_SECONDS = 2400
_HANG_SECONDS = 900
_COLLECT_SECONDS = 1800
_GONE_SECONDS = 60
# What spins on each processor, as hang_instance starts it: chrt -f 99 bash.
_SPINNER = "bash"
_CHILDREN = ("ProvisionDumpVolume", "CollectVmcore")
_BOOT_ID = "#!/bin/sh\ncat /proc/sys/kernel/random/boot_id\n"


@dataclass(frozen=True)
class DrillOutcome:
    """What the demo of a drill ends with. `drill`: the output of DrillDump, with the proof of the dump."""

    variant: Variant
    instance_id: str
    drill: Mapping[str, Any]
    key: str
    proof: Proof
    seconds: dict[str, float]
    report: Path
    culprit: Culprit


class DrillStory(Stage):
    """A drill: the same chain without a hang of the instance."""

    def run(self) -> DrillOutcome:
        """From nothing to the proof of the twin's dump; raises DemoFailed, NotProven or what broke."""
        make = partial(QemuGuest, hardware=self._variant.hardware)
        twins = self._scratch / "twins"
        with (
            self._first_guest() as (account, guest, image),
            launched_guests(account, twins, image=image, volumes=twins / "volumes", make=make) as launched,
        ):
            try:
                return self._play(account, guest, launched)
            finally:
                for twin in launched:
                    self._results.keep("twin-console.log", twin.console())

    def _play(self, account: LabAccount, guest: QemuGuest, launched: list[QemuGuest]) -> DrillOutcome:
        with self._act("boot", "Boot the instance; synthesize and deploy the stack"):
            instance_id, outputs = self._boot_and_deploy(account, guest)
            booted = boot_of(guest)
        with self._act("ready", f"DrillDump of {instance_id}: launch its twin, and make the twin ready"):
            execution = account.start_execution("DrillDump", {"instanceId": instance_id})
            self._come_to(account, execution, "DrillDump Hang the twin", _READY_SECONDS)
            hung_at = datetime.now(UTC)
        with self._act("hang", "Hang the twin, wait for the alarm, then respond_to_hang"):
            self._come_to(account, execution, "CollectVmcore ExecutionStarted", _HANG_SECONDS)
        try:
            with self._act("collect", "CollectVmcore: the dump, the reboot, the upload. Then the twin is removed"):
                drill = self._follow(account, execution, "DrillDump", _COLLECT_SECONDS)
        finally:
            self._keep_children(account, outputs)
        with self._act("prove", "Open the vmcore from the bucket"):
            self._require_traceless(Deployment(account, outputs), instance_id, drill["twinId"], launched)
            if boot_of(guest) != booted:
                raise DemoFailed(f"{instance_id} has booted meanwhile, but a drill does not touch it")
            self._timeline.add("guest", f"{instance_id} has noticed nothing: it runs since before the drill")
            return self._prove(Deployment(account, outputs), instance_id, drill, hung_at)

    def _settings(self) -> dict[str, Any]:
        # The twin is provisioned by the settings.
        return self._variant.provision_input()

    def _come_to(self, account: LabAccount, execution: str, fragment: str, timeout_seconds: float) -> None:
        """Waits for an event of a state machine. Raises DemoFailed with why the drill has ended before."""
        states = account.client("stepfunctions")

        def is_there() -> bool:
            is_over = states.describe_execution(executionArn=execution)["status"] != "RUNNING"
            return is_over or has_come(account.events.all(), fragment)

        try:
            wait_until(is_there, what=f"the drill comes to {fragment!r}", timeout_seconds=timeout_seconds)
        except TimeoutError as error:
            self._results.keep_history(account, name="DrillDump", execution_arn=execution)
            raise DemoFailed(str(error)) from error
        if not has_come(account.events.all(), fragment):
            self._follow(account, execution, "DrillDump", _GONE_SECONDS)

    def _keep_children(self, account: LabAccount, outputs: Mapping[str, str]) -> None:
        states = account.client("stepfunctions")
        for name in _CHILDREN:
            for each in states.list_executions(stateMachineArn=outputs[f"{name}Arn"])["executions"]:
                self._results.keep_history(account, name=name, execution_arn=each["executionArn"])

    def _require_traceless(
        self, deployed: Deployment, instance_id: str, twin_id: str, launched: list[QemuGuest]
    ) -> None:
        def left() -> list[str]:
            return [
                *deployed.left_of_rescues(instance_id),
                *deployed.alarms_of(twin_id),
                *(each["VolumeId"] for each in deployed.volumes_of(twin_id)),
                *(f"the machine {each.workdir.name}" for each in launched if each.is_running()),
            ]

        try:
            wait_until(lambda: not left(), what="nothing of the twin is left", timeout_seconds=_GONE_SECONDS)
        except TimeoutError as error:
            raise DemoFailed(f"of the twin {twin_id} there is left: {', '.join(left())}") from error

    def _prove(
        self, deployed: Deployment, instance_id: str, drill: Mapping[str, Any], hung_at: datetime
    ) -> DrillOutcome:
        key = deployed.records()[drill["incidentId"]]["keys"]["vmcore"]
        prefix = key.removesuffix("vmcore")
        files = self._results.download(deployed.account, bucket=deployed.bucket, prefix=prefix)
        if drill["verdict"] != "captured":
            raise DemoFailed(f"the verdict is {drill['verdict']}: {drill['detail']}")
        proof = prove(files["vmcore"], hung_at=hung_at, collected_at=datetime.now(UTC))
        culprit = prove_report(files["report.html"], json.loads(files["triage.json"].read_text()), spinner=_SPINNER)
        self._timeline.add("demo", f"the report names {culprit.task} on CPU {culprit.cpu}")
        self._timeline.add("demo", f"the dump opens: {proof.kernel}, crashed {proof.crashed_at:%H:%M:%S} UTC")
        return DrillOutcome(
            variant=self._variant,
            instance_id=instance_id,
            drill=drill,
            key=f"s3://{deployed.bucket}/{key}",
            proof=proof,
            seconds=self._seconds,
            report=files["report.html"],
            culprit=culprit,
        )


def has_come(events: list[Event], fragment: str) -> bool:
    """`fragment`: a state machine and its state, `DrillDump Hang the twin`."""
    return any(each.source == "stepfunctions" and fragment == f"{each.subject} {each.text}" for each in events)


def boot_of(guest: QemuGuest) -> str:
    """Another one after each boot."""
    return guest.run(_BOOT_ID, environment={}, timeout_seconds=60).stdout.strip()
