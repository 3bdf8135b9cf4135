"""The whole loop: the synthesized stack, a real kernel that hangs, a real NMI, a real vmcore in the bucket."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab.aws.account import LabAccount
from lab.demo.proof import Proof, prove
from lab.deployment import Deployment, deploy_hangdump, is_online, synthesize_for_lab
from lab.guest import QemuGuest, hang, wait_until
from lab.image import ensure_image

pytestmark = pytest.mark.guest

PROVISION_SECONDS = 900
COLLECT_SECONDS = 900


class CountingGuest(QemuGuest):
    """Counts what reaches QEMU's monitor."""

    nmi_count = 0

    def inject_nmi(self) -> None:
        self.nmi_count += 1
        super().inject_nmi()


@dataclass
class Loop(Deployment):
    """A deployed stack and one instance in it."""

    guest: CountingGuest
    instance_id: str
    downloads: Path
    notes: dict[str, Any] = field(default_factory=dict)

    def provision(self, **more: Any) -> dict[str, Any]:
        execution = self.account.start_execution("ProvisionDumpVolume", {"instanceId": self.instance_id, **more})
        ended = self.account.wait_for_execution(execution, timeout_seconds=PROVISION_SECONDS)
        assert ended["status"] == "SUCCEEDED", ended
        outcome: dict[str, Any] = ended["output"]
        return outcome

    def file_system_uuid(self) -> str:
        script = "#!/bin/sh\nfindmnt -no UUID,SOURCE /var/crash\n"
        return self.guest.run(script, environment={}, timeout_seconds=60).stdout.split()[0]


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """A fresh guest, enrolled and not provisioned."""
    work = tmp_path_factory.mktemp("loop")
    disk = ensure_image()
    with LabAccount() as account, CountingGuest(work / "guest", disk=disk, s3_port=account.instance_port) as guest:
        guest.start()
        outputs = deploy_hangdump(account, lambda: synthesize_for_lab(work / "cdk.out"))
        guest.wait_until_answers()
        instance_id = account.add_instance(guest, tags={"hangdump:enrolled": "true"})
        wait_until(lambda: is_online(account, instance_id), what="the agent is online", timeout_seconds=120)
        yield Loop(account, outputs, guest, instance_id, work)


@pytest.fixture(scope="module")
def ready(loop: Loop) -> dict[str, Any]:
    """A provisioning with leave to reboot."""
    return loop.provision(reboot=True)


@dataclass(frozen=True)
class Captured:
    verdict: dict[str, Any]
    proof: Proof
    nmi_count: int
    dumps_left: str
    opened: dict[str, Any]


@pytest.fixture(scope="module")
def captured(loop: Loop, ready: dict[str, Any]) -> Captured:
    """A hang, its alarm delivered twice at the same moment, and what CollectVmcore made of it."""
    before = loop.guest.nmi_count
    hung_at = datetime.now(UTC)
    loop.account.deliver_alarms(times=2)
    hang(loop.guest)
    execution = wait_until(lambda: started(loop), what="the alarm starts CollectVmcore", timeout_seconds=300)
    ended = loop.account.wait_for_execution(execution, timeout_seconds=COLLECT_SECONDS)
    assert ended["status"] == "SUCCEEDED", (ended, loop.guest.console()[-3000:])
    verdict = ended["output"]
    vmcore = loop.downloads / "vmcore"
    loop.account.client("s3").download_file(loop.bucket, verdict["keys"]["vmcore"], str(vmcore))
    incident = json.loads(loop.content(verdict["keys"]["incident"]))
    proof = prove(vmcore, hung_at=hung_at, collected_at=datetime.now(UTC))
    left = loop.guest.run("#!/bin/sh\nfind /var/crash -name 'dump*'\n", environment={}, timeout_seconds=60).stdout
    return Captured(verdict, proof, loop.guest.nmi_count - before, left, incident["opened"])


def started(loop: Loop) -> str:
    machine = loop.outputs["CollectVmcoreArn"]
    executions = loop.account.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    return executions[0]["executionArn"] if executions else ""


@pytest.mark.nightly
def test_leaves_the_reboot_to_the_owner(loop: Loop) -> None:
    """Comes first: the guest is not provisioned yet."""
    before = loop.guest.boot_id()

    assert loop.provision()["status"] == "reboot-required"
    assert loop.guest.boot_id() == before

    loop.guest.reboot()
    loop.guest.wait_until_answers()
    what = "Systems Manager hears of the guest again"
    wait_until(lambda: is_online(loop.account, loop.instance_id), what=what, timeout_seconds=120)
    assert loop.provision()["status"] == "ready"


def test_is_ready_once_it_is_provisioned(ready: dict[str, Any]) -> None:
    assert ready["status"] == "ready"


@pytest.mark.nightly
def test_changes_nothing_when_run_again(loop: Loop, ready: dict[str, Any]) -> None:
    before = (loop.guest.boot_id(), loop.file_system_uuid(), loop.volumes_of(loop.instance_id))

    again = loop.provision(reboot=True)

    assert again["status"] == "ready"
    assert (loop.guest.boot_id(), loop.file_system_uuid(), loop.volumes_of(loop.instance_id)) == before
    assert len(before[2]) == 1


def test_refuses_a_false_alarm_on_a_healthy_guest(loop: Loop, ready: dict[str, Any]) -> None:
    before = loop.guest.nmi_count
    alarm = f"hangdump-{loop.instance_id}"
    already = len(loop.account.events.matching("lambda", "respond_to_hang succeeded"))

    loop.account.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a false alarm")

    wait_until(
        lambda: len(loop.account.events.matching("lambda", "respond_to_hang succeeded")) > already,
        what="respond_to_hang",
        timeout_seconds=120,
    )
    assert loop.guest.nmi_count == before
    (refusal,) = [
        note for note in loop.account.notifications if f"{loop.instance_id} was not interrupted" in note.message
    ]
    assert "status-check-passes" in refusal.subject
    assert '"instanceStatus": "ok"' in refusal.message


def test_brings_the_vmcore_of_the_hang_to_the_bucket(captured: Captured) -> None:
    assert captured.verdict["verdict"] == "captured"
    assert captured.proof.panic_line == "NMI: Not continuing"
    assert "NMI: Not continuing" in captured.verdict["panicLine"]


def test_opens_the_vmcore_in_the_bucket_as_drgn_does_afterwards(captured: Captured) -> None:
    opened = captured.opened
    assert (opened["kernelRelease"], opened["problems"]) == (captured.proof.kernel, [])
    assert opened["panicLine"] == "Kernel panic - not syncing: NMI: Not continuing"
    # The hang keeps both processors busy.
    assert (opened["cpus"], opened["idleCpus"]) == (2, 0)


def test_is_armed_again_after_its_dump(loop: Loop, captured: Captured) -> None:
    assert captured.verdict["reason"].endswith("It is ready to dump again.")


def test_interrupts_once_for_an_alarm_delivered_twice(captured: Captured) -> None:
    assert captured.nmi_count == 1


def test_removes_the_vmcore_from_the_instance_once_it_is_proven(captured: Captured) -> None:
    assert captured.dumps_left == ""
