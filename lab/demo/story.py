"""The demo's story in acts: boot, deploy, provision, hang, collect, prove. Owns the order and what must hold."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analysis.command_line import UserError
from lab.aws.account import LabAccount
from lab.aws.event_log import Event
from lab.demo.console import ConsoleWatch
from lab.demo.proof import Culprit, Proof, prove, prove_report
from lab.demo.results import Results
from lab.demo.tell import Teller
from lab.demo.timeline import Timeline
from lab.demo.variant import Observed, Variant, observe
from lab.deployment import deploy_hangdump, is_online, synthesize_for_lab
from lab.guest.deadline import wait_until
from lab.guest.hang import SPINNER, hang
from lab.guest.qemu_guest import QemuGuest
from lab.image import ensure_image
from lab.image.build import check_tools

# Bounds, not measurements: several times what the machine needs, so that only a real fault ends the demo here.
PROVISION_SECONDS = 900
ALARM_SECONDS = 300
AGENT_SECONDS = 120
COLLECT_SECONDS = 900
_HARDEN = Path(__file__).with_name("harden.sh").read_text()
# Command → the Debian package that brings it.
_TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "socat": "socat",
    "makedumpfile": "makedumpfile",
}


class DemoFailed(UserError):
    """A step did not hold; the message says which, and where to look."""


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


def check_host() -> None:
    """Raises ImageBuildFailed, naming what to install: now, rather than in the middle of the story."""
    check_tools(_TOOLS)


class Story:
    """One run of the demo."""

    def __init__(self, timeline: Timeline, results: Results, scratch: Path, variant: Variant | None = None) -> None:
        self._variant = variant or Variant()
        self._timeline = timeline
        self._results = results
        self._scratch = scratch
        self._teller = Teller()
        self._seconds: dict[str, float] = {}

    def run(self) -> Outcome:
        """From nothing to the proven vmcore; raises DemoFailed, NotProven or what broke."""
        release = self._variant.release
        with self._act("image", f"Guest image: Debian {release}, its cloud kernel, no kdump"):
            image = ensure_image(lambda line: self._timeline.add("image", line), release=release)
        with LabAccount() as account:
            account.events.listen(self._tell)
            with QemuGuest(
                self._scratch / "guest",
                disk=image,
                s3_port=account.instance_port,
                hardware=self._variant.hardware,
            ) as guest:
                try:
                    return self._play(account, guest)
                finally:
                    self._results.keep("console.log", guest.console())

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

    def _boot_and_deploy(self, account: LabAccount, guest: QemuGuest) -> tuple[str, dict[str, str]]:
        # The guest boots on its own; synthesis is most of the other processor's work.
        guest.start()
        with ThreadPoolExecutor(max_workers=1) as pool:
            deployment = pool.submit(deploy_hangdump, account, lambda: synthesize_for_lab(self._scratch / "cdk.out"))
            guest.wait_until_answers()
            self._timeline.add("guest", f"booted {kernel_of(guest)}, answers")
            if self._variant.hardened == "yes":
                self._harden(guest)
            outputs = deployment.result()
        instance_id = account.add_instance(
            guest, instance_type=self._variant.instance_type, tags={"hangdump:enrolled": "true"}
        )
        zone = availability_zone_of(account, instance_id)
        guest.identify(instance_id=instance_id, availability_zone=zone)
        self._timeline.add("ec2", f"{instance_id} runs in {zone}, tagged hangdump:enrolled=true")
        # ProvisionDumpVolume refuses an instance that Systems Manager does not know yet.
        wait_until(lambda: is_online(account, instance_id), what="the agent is online", timeout_seconds=AGENT_SECONDS)
        return instance_id, outputs

    def _harden(self, guest: QemuGuest) -> None:
        done = guest.run(_HARDEN, environment={}, timeout_seconds=60)
        if done.exit_code:
            raise DemoFailed(f"harden.sh ended with {done.exit_code}: {done.stderr}")
        self._timeline.add("guest", "its owner hardens it: sysctl.d, a quarter of memory as huge pages")

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

    def _follow(self, account: LabAccount, execution_arn: str, name: str, timeout_seconds: float) -> dict[str, Any]:
        """Wait for the end of an execution, whose states the account's events tell; its output."""
        try:
            ended = account.wait_for_execution(execution_arn, timeout_seconds=timeout_seconds)
        finally:
            self._results.keep_history(account, name=name, execution_arn=execution_arn)
        if ended["status"] != "SUCCEEDED":
            raise DemoFailed(f"{name} {ended['status']}: {ended.get('error')}: {ended.get('cause')}")
        output: dict[str, Any] = ended["output"]
        return output

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

    def _console_watch(self, guest: QemuGuest) -> ConsoleWatch:
        return ConsoleWatch(guest, lambda progress: self._timeline.add("console", progress.detail))

    @contextmanager
    def _act(self, name: str, title: str) -> Iterator[None]:
        began = time.monotonic()
        with self._timeline.act(title):
            yield
        self._seconds[name] = time.monotonic() - began

    def _tell(self, event: Event) -> None:
        if line := self._teller.line_of(event):
            self._timeline.add(*line)


def kernel_of(guest: QemuGuest) -> str:
    """`uname -r` of the guest."""
    return guest.run("#!/bin/sh\nuname -r\n", environment={}, timeout_seconds=30).stdout.strip()


def availability_zone_of(account: LabAccount, instance_id: str) -> str:
    """Where EC2 says that the instance is."""
    reservations = account.client("ec2").describe_instances(InstanceIds=[instance_id])["Reservations"]
    zone: str = reservations[0]["Instances"][0]["Placement"]["AvailabilityZone"]
    return zone
