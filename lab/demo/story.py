"""The demo's story in acts: boot, deploy, provision, hang, collect, prove. Owns the order and what must hold."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.aws.account import LabAccount
from lab.demo.proof import Culprit, Proof, prove, prove_report
from lab.demo.stage import DemoFailed, Stage
from lab.demo.variant import Observed, Variant, observe
from lab.guest.deadline import wait_until
from lab.guest.hang import SPINNER, hang
from lab.guest.qemu_guest import QemuGuest

# Bounds, not measurements: several times what the machine needs, so that only a real fault ends the demo here.
PROVISION_SECONDS = 900
ALARM_SECONDS = 300
COLLECT_SECONDS = 900


@dataclass(frozen=True)
class Outcome:
    """What the demo ends with."""

    variant: Variant
    observed: Observed
    key: str
    size_bytes: int
    dmesg_bytes: int
    proof: Proof
    verdict: dict[str, Any]
    seconds: dict[str, float]
    report: Path
    culprit: Culprit


class Story(Stage):
    """The hang of an instance."""

    def run(self) -> Outcome:
        """From nothing to the proven vmcore; raises DemoFailed, NotProven or what broke."""
        with self._first_guest() as (account, guest, _image):
            return self._play(account, guest)

    def _play(self, account: LabAccount, guest: QemuGuest) -> Outcome:
        with self._act("boot", "Boot the instance; synthesize and deploy the stack"):
            instance_id, outputs = self._boot_and_deploy(account, guest)
        with self._act("provision", f"ProvisionDumpVolume for {instance_id}"):
            self._provision(account, instance_id)
        hung_at = datetime.now(UTC)
        with self._act("hang", "Hang the kernel: real-time spinners on every CPU"):
            hang(guest)
            self._timeline.add("guest", "no longer answers; only an NMI gets through now")
        with self._act("alarm", "Wait for the alarm, then respond_to_hang"):
            execution = self._collection(account, outputs)
        # reboot | poweroff
        afterwards = f"the {self._variant.final_action}"
        with self._act("collect", f"CollectVmcore: the dump, {afterwards}, the upload"), self._console_watch(guest):
            verdict = self._follow(account, execution, "CollectVmcore", COLLECT_SECONDS)
        with self._act("prove", "Open the vmcore from the bucket"):
            return self._prove(account, guest, outputs, verdict, hung_at)

    def _provision(self, account: LabAccount, instance_id: str) -> None:
        wanted = {"instanceId": instance_id, "reboot": True, **self._variant.provision_input()}
        execution = account.start_execution("ProvisionDumpVolume", wanted)
        outcome = self._follow(account, execution, "ProvisionDumpVolume", PROVISION_SECONDS)
        if outcome["status"] != "ready":
            raise DemoFailed(f"ProvisionDumpVolume ended with {outcome['status']}, not ready")

    def _collection(self, account: LabAccount, outputs: dict[str, str]) -> str:
        machine = outputs["CollectVmcoreArn"]
        states = account.client("stepfunctions")

        def started() -> str:
            executions = states.list_executions(stateMachineArn=machine)["executions"]
            return executions[0]["executionArn"] if executions else ""

        try:
            return wait_until(started, what="the alarm starts CollectVmcore", timeout_seconds=ALARM_SECONDS)
        except TimeoutError as error:
            raise DemoFailed(f"{error}; the log of respond_to_hang says why") from error

    def _prove(
        self,
        account: LabAccount,
        guest: QemuGuest,
        outputs: dict[str, str],
        verdict: dict[str, Any],
        hung_at: datetime,
    ) -> Outcome:
        key = verdict["keys"]["vmcore"]
        bucket = outputs["VmcoreBucketName"]
        files = self._results.download(account, bucket=bucket, prefix=key.removesuffix("vmcore"))
        if verdict["verdict"] != "captured":
            raise DemoFailed(f"the verdict is {verdict['verdict']}: {verdict['reason']}")
        proof = prove(files["vmcore"], hung_at=hung_at, collected_at=datetime.now(UTC))
        culprit = prove_report(files["report.html"], json.loads(files["triage.json"].read_text()), spinner=SPINNER)
        self._timeline.add("demo", f"the report names {culprit.task} on CPU {culprit.cpu}")
        self._timeline.add("demo", f"the dump opens: {proof.kernel}, crashed {proof.crashed_at:%H:%M:%S} UTC")
        if self._variant.dump_volume == "parked" and (left := guest.attached_volumes):
            raise DemoFailed(f"the dump is collected, but its volume is not parked again: {', '.join(left)}")
        observed = observe(account, guest)
        if wrong := observed.contradictions(self._variant):
            raise DemoFailed(f"this was no run of {self._variant}: {'; '.join(wrong)}")
        return Outcome(
            variant=self._variant,
            observed=observed,
            key=f"s3://{bucket}/{key}",
            size_bytes=files["vmcore"].stat().st_size,
            dmesg_bytes=files["vmcore-dmesg.txt"].stat().st_size,
            proof=proof,
            verdict=verdict,
            seconds=self._seconds,
            report=files["report.html"],
            culprit=culprit,
        )
