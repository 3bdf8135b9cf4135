"""What every story of the demo is told on: the account, its first guest, the timeline and the results. Plays no act."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analysis.command_line import UserError
from lab.aws.account import LabAccount
from lab.aws.event_log import Event
from lab.demo.console import ConsoleWatch
from lab.demo.results import Results
from lab.demo.tell import Teller
from lab.demo.timeline import Timeline
from lab.demo.variant import Variant
from lab.deployment import deploy_hangdump, is_online, synthesize_for_lab
from lab.guest.deadline import wait_until
from lab.guest.qemu_guest import QemuGuest
from lab.image import ensure_image
from lab.image.build import check_tools

# A bound, not a measurement: several times what the machine needs.
AGENT_SECONDS = 120
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


def check_host() -> None:
    """Raises ImageBuildFailed, naming what to install: now, rather than in the middle of the story."""
    check_tools(_TOOLS)


class Stage:
    """One run of the demo, whatever is shown in it."""

    def __init__(self, timeline: Timeline, results: Results, scratch: Path, variant: Variant | None = None) -> None:
        self._variant = variant or Variant()
        self._timeline = timeline
        self._results = results
        self._scratch = scratch
        self._teller = Teller()
        self._seconds: dict[str, float] = {}

    @contextmanager
    def _first_guest(self) -> Iterator[tuple[LabAccount, QemuGuest, Path]]:
        """The account, a guest that is off, and the disk from which guests boot."""
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
                    yield account, guest, image
                finally:
                    self._results.keep("console.log", guest.console())

    def _boot_and_deploy(self, account: LabAccount, guest: QemuGuest) -> tuple[str, dict[str, str]]:
        # The guest boots on its own; synthesis is most of the other processor's work.
        guest.start()
        with ThreadPoolExecutor(max_workers=1) as pool:
            deployment = pool.submit(deploy_hangdump, account, self._synthesize)
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

    def _synthesize(self) -> Path:
        return synthesize_for_lab(self._scratch / "cdk.out", self._settings())

    def _settings(self) -> dict[str, Any]:
        """Of the stack, beside the lab's own. What provisioning takes as its input is no setting here."""
        return {}

    def _harden(self, guest: QemuGuest) -> None:
        done = guest.run(_HARDEN, environment={}, timeout_seconds=60)
        if done.exit_code:
            raise DemoFailed(f"harden.sh ended with {done.exit_code}: {done.stderr}")
        self._timeline.add("guest", "its owner hardens it: sysctl.d, a quarter of memory as huge pages")

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
