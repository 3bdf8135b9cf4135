"""Graviton on a real arm64 kernel: Debian 12 as shipped is refused; mended, its hang ends as a captured vmcore.

No interrupt reaches it: the kernel's own detector, which ProvisionDumpVolume made panic, ends the hang.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab.aws.account import LabAccount
from lab.demo.proof import reassembled, vmcoreinfo_of
from lab.deployment import Deployment, deploy_hangdump, is_online, synthesize_for_lab
from lab.guest import SPINNER, Hardware, QemuGuest, hang, wait_until
from lab.image import ensure_image
from lambdas.collect.console_progress import count_crash_kernels, mark_end, read_progress
from lambdas.incident.record import State

# A run takes twelve minutes, and may wait for the image that `make test-all` builds meanwhile.
pytestmark = [pytest.mark.guest, pytest.mark.nightly, pytest.mark.timeout(5400)]

# Bounds, not measurements.
BOOT_SECONDS = 600
EXECUTION_SECONDS = 1800
DUMP_SECONDS = 900
_LIST_TEXT_SYMBOL = Path(__file__).with_name("list_text_symbol.sh").read_text()


@dataclass
class Graviton(Deployment):
    """A deployed stack and one enrolled arm64 instance."""

    guest: QemuGuest
    instance_id: str

    def run(self, machine: str, **more: Any) -> dict[str, Any]:
        """The end of an execution for the instance."""
        execution = self.account.start_execution(machine, {"instanceId": self.instance_id, **more})
        return self.account.wait_for_execution(execution, timeout_seconds=EXECUTION_SECONDS)

    def collect(self) -> dict[str, Any]:
        """The end of the collection that a check began when it met the dump under way, or else of one by hand."""
        states = self.account.client("stepfunctions")
        begun = states.list_executions(stateMachineArn=self.outputs["CollectVmcoreArn"])["executions"]
        if not begun:
            return self.run("CollectVmcore")
        return self.account.wait_for_execution(begun[0]["executionArn"], timeout_seconds=EXECUTION_SECONDS)

    def wait_until_online(self) -> None:
        self.guest.wait_until_answers(BOOT_SECONDS)
        what = "Systems Manager hears from the guest"
        wait_until(lambda: is_online(self.account, self.instance_id), what=what, timeout_seconds=120)


@pytest.fixture(scope="module")
def graviton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graviton]:
    work = tmp_path_factory.mktemp("arm64")
    hardware = Hardware(architecture="arm64", product="t4g.micro")
    disk = ensure_image(architecture="arm64")
    with (
        LabAccount() as account,
        QemuGuest(work / "guest", disk=disk, s3_port=account.instance_port, hardware=hardware) as guest,
    ):
        guest.start()
        outputs = deploy_hangdump(account, lambda: synthesize_for_lab(work / "cdk.out"))
        guest.wait_until_answers(BOOT_SECONDS)
        instance_id = account.add_instance(
            guest,
            instance_type=hardware.product,
            architecture=hardware.architecture,
            tags={"hangdump:enrolled": "true"},
        )
        graviton = Graviton(account, outputs, guest, instance_id)
        graviton.wait_until_online()
        yield graviton


@pytest.fixture(scope="module")
def as_shipped(graviton: Graviton) -> dict[str, Any]:
    """The end of the first provisioning, with leave to reboot."""
    return graviton.run("ProvisionDumpVolume", reboot=True)


@pytest.fixture(scope="module")
def ready(graviton: Graviton, as_shipped: dict[str, Any]) -> dict[str, Any]:
    """The second provisioning, after the remedy."""
    done = graviton.guest.run(_LIST_TEXT_SYMBOL, environment={}, timeout_seconds=300)
    assert done.exit_code == 0, done
    ended = graviton.run("ProvisionDumpVolume", reboot=True)
    assert ended["status"] == "SUCCEEDED", ended
    outcome: dict[str, Any] = ended["output"]
    return outcome


@dataclass(frozen=True)
class Captured:
    """The verdict, the objects of the incident, what drgn reads in the vmcore, and what the console showed."""

    verdict: dict[str, Any]
    incident: dict[str, Any]
    triage: dict[str, Any]
    vmcoreinfo: dict[str, str]
    crash_kernels: int
    hung_at: datetime
    collected_at: datetime


@pytest.fixture(scope="module")
def captured(graviton: Graviton, ready: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Captured:
    """The demo's hang, which the kernel ends with a panic, and the dump fetched when the guest is back."""
    guest, before, hung_at = graviton.guest, mark_end(graviton.guest.console()), datetime.now(UTC)
    hang(guest)
    wait_until(
        lambda: read_progress(guest.console(), baseline=before).phase == "saved",
        what="the dump",
        timeout_seconds=DUMP_SECONDS,
    )
    crash_kernels = count_crash_kernels(guest.console(), seen=before)
    graviton.wait_until_online()

    ended = graviton.collect()

    assert ended["status"] == "SUCCEEDED", (ended, guest.console()[-3000:])
    verdict = ended["output"]
    vmcore = tmp_path_factory.mktemp("captured") / "vmcore"
    vmcore.write_bytes(graviton.content(verdict["keys"]["vmcore"]))
    with reassembled(vmcore) as plain:
        vmcoreinfo = vmcoreinfo_of(plain)
    incident, triage = (json.loads(graviton.content(verdict["keys"][name])) for name in ("incident", "triage"))
    return Captured(verdict, incident, triage, vmcoreinfo, crash_kernels, hung_at, datetime.now(UTC))


def test_refuses_debian_12_as_shipped_which_lists_no_text_symbol(
    graviton: Graviton, as_shipped: dict[str, Any]
) -> None:
    assert (as_shipped["status"], as_shipped["error"]) == ("FAILED", "KdumpNotReady")
    cause = as_shipped["cause"]
    findings = json.loads(cause[cause.index("[") : cause.rindex("]") + 1])
    assert [each["code"] for each in findings if each["severity"] == "error"] == ["kernel-symbol-missing"]
    assert "hangdump:ready" not in graviton.tags_of(graviton.instance_id)


def test_is_ready_once_the_symbol_is_listed(graviton: Graviton, ready: dict[str, Any]) -> None:
    assert ready["status"] == "ready"
    assert "hangdump:ready" in graviton.tags_of(graviton.instance_id)


def test_makedumpfile_reads_the_running_kernel(ready: dict[str, Any]) -> None:
    """Where it cannot, as on Debian 13, every dump is empty."""
    assert ready["kdump"]["expectedDumpBytes"] > 0


def test_the_console_shows_its_crash_kernel_once(captured: Captured) -> None:
    assert captured.crash_kernels == 1


def test_the_kernel_ends_its_own_hang_and_the_vmcore_comes_to_the_bucket(captured: Captured) -> None:
    assert captured.verdict["verdict"] == "captured"
    assert captured.verdict["reason"].endswith("It is ready to dump again.")


def test_the_vmcore_opens_in_the_bucket_with_the_panic_of_the_stall(captured: Captured) -> None:
    opened = captured.incident["opened"]
    assert (opened["architecture"], opened["problems"]) == ("aarch64", [])
    assert opened["panicLine"] == "Kernel panic - not syncing: RCU Stall"
    assert (opened["cpus"], opened["idleCpus"]) == (2, 0)


def test_drgn_reads_the_same_kernel_and_the_time_of_the_panic(captured: Captured) -> None:
    """Not makedumpfile, as for the demo's dumps: that of x86_64 does not know arm64."""
    info = captured.vmcoreinfo
    assert info["OSRELEASE"] == captured.incident["opened"]["kernelRelease"]
    crashed_at = datetime.fromtimestamp(int(info["CRASHTIME"]), tz=UTC)
    assert captured.hung_at.replace(microsecond=0) <= crashed_at <= captured.collected_at


def test_the_triage_names_the_process_that_hung_it(captured: Captured) -> None:
    triage = captured.triage
    assert (triage["crashClass"], triage["architecture"]) == ("rcu-stall", "aarch64")
    assert triage["task"]["name"] == SPINNER[:15]
    assert triage["sentence"].startswith("RCU stall")


def test_nothing_interrupts_it(graviton: Graviton, captured: Captured) -> None:
    """The alarm comes a minute before the panic, which the second report of the stall causes."""
    refused = [each for each in graviton.records().values() if each["state"] == State.REFUSED]
    assert ("unsupported-architecture", "unsupported") in {(each["reason"], each["verdict"]) for each in refused}
    assert graviton.account.events.matching("ec2", "diagnostic interrupt") == []
