"""The documents on a real Debian kernel, from the fresh instance to the vmcore that left it. Minutes, not seconds."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.guest import QemuGuest, hang, wait_until
from lab.image import ensure_image
from tests.ssm_documents.bucket import Bucket, serve_bucket
from tests.ssm_documents.guest_agent import BOOT_SECONDS, Agent

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1800)]
VOLUME_ID = "vol-0d0c5000000000001"
PART_BYTES = 8 << 20
FOREIGN_VOLUME_ID = "vol-0d0c5000000000002"
DUMP_SECONDS = BOOT_SECONDS


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with serve_bucket() as bucket:
        yield bucket


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory, bucket: Bucket) -> Iterator[Agent]:
    """One guest for the whole story; the tests below are its chapters, in order."""
    guest = QemuGuest(tmp_path_factory.mktemp("guest"), disk=ensure_image(), s3_port=int(bucket.url.rsplit(":")[-1]))
    with guest:
        guest.start()
        guest.wait_until_answers(BOOT_SECONDS)
        guest.attach_disk(VOLUME_ID, 8, "/dev/sdf")
        guest.attach_disk(FOREIGN_VOLUME_ID, 1, "/dev/sdg")
        yield Agent(guest)


def test_disk_that_holds_data_is_refused_and_still_holds_it(agent: Agent) -> None:
    find = f"disk=$(grep -l {FOREIGN_VOLUME_ID.replace('-', '')} /sys/block/nvme*/device/serial | cut -d/ -f4)"
    wait_until(
        lambda: agent.shell(f"grep -sl {FOREIGN_VOLUME_ID.replace('-', '')} /sys/block/*/device/serial || true"),
        timeout_seconds=60,
        what="the disk appears",
    )
    before = agent.shell(f"{find}; mkfs.ext4 -q -L photos /dev/$disk; sha256sum </dev/$disk")
    report = agent.run("prepare_dump_volume", volumeId=FOREIGN_VOLUME_ID)
    assert report["error"] == "DeviceHoldsData"
    assert "ext4" in report["message"]
    assert agent.shell(f"{find}; sha256sum </dev/$disk") == before


def test_bytes_that_no_signature_explains_are_refused_too(agent: Agent) -> None:
    find = f"disk=$(grep -l {FOREIGN_VOLUME_ID.replace('-', '')} /sys/block/nvme*/device/serial | cut -d/ -f4)"
    agent.shell(f"{find}; wipefs -q -a /dev/$disk; echo raw | dd of=/dev/$disk bs=1 seek=4000 status=none; sync")
    assert agent.run("prepare_dump_volume", volumeId=FOREIGN_VOLUME_ID)["error"] == "DeviceHoldsData"
    agent.guest.detach_disk(FOREIGN_VOLUME_ID)  # the firmware reads more slowly with every disk


def test_empty_volume_becomes_the_dump_target(agent: Agent) -> None:
    report = agent.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert report["status"] == "prepared"
    assert report["freeBytes"] > 7 << 30
    assert agent.shell("findmnt -n -o FSTYPE,LABEL /var/crash").split() == ["xfs", "HANGDUMP"]
    again = agent.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert again == report | {"status": "unchanged", "freeBytes": again["freeBytes"]}


def test_fresh_host_is_not_rebooted_unasked(agent: Agent) -> None:
    boot_id = agent.guest.boot_id()
    assert agent.run("configure_kdump")["status"] == "reboot-required"
    codes = [finding["code"] for finding in agent.run("check_kdump", volumeId=VOLUME_ID)["findings"]]
    assert codes == ["reboot-pending"]
    assert (agent.reboots, agent.guest.boot_id()) == (0, boot_id)


def test_reboot_that_was_allowed_makes_it_ready(agent: Agent) -> None:
    assert agent.run("configure_kdump", reboot="true")["status"] == "configured"
    assert agent.reboots == 1
    verdict = agent.run("check_kdump", volumeId=VOLUME_ID)
    assert (verdict["findings"], verdict["ready"]) == ([], True)
    assert verdict["crashkernelBytes"] == 192 << 20
    assert verdict["bootId"] == agent.guest.boot_id()


def test_running_it_all_again_changes_nothing(agent: Agent) -> None:
    assert agent.run("prepare_dump_volume", volumeId=VOLUME_ID)["status"] == "unchanged"
    report = agent.run("configure_kdump", reboot="true")
    assert (report["status"], report["changes"], agent.reboots) == ("unchanged", [], 1)


def test_hang_ends_in_a_vmcore_that_leaves_identical(agent: Agent, bucket: Bucket, tmp_path: Path) -> None:
    old_boot = agent.guest.boot_id()
    since = int(agent.shell("date +%s"))
    assert agent.run("upload_vmcore", since=str(since))["error"] == "VmcoreNotFound"
    hang(agent.guest)
    started = time.monotonic()
    agent.guest.inject_nmi()
    wait_until(
        lambda: agent.is_back(old_boot),
        timeout_seconds=DUMP_SECONDS,
        what="the guest is back from its dump",
    )
    print(f"NMI to online again: {time.monotonic() - started:.0f} s")
    found = agent.run("upload_vmcore", since=str(since))
    assert found["status"] == "complete"
    vmcore = found["vmcore"]
    agent.shell(f"test $(findmnt -n -o TARGET --target {vmcore['path']}) = /var/crash")
    parts = _send(agent, bucket, found)
    assert sum(map(len, parts)) == vmcore["sizeBytes"]
    agent.shell(f"test $(sha256sum <{vmcore['path']} | cut -c 1-64) = {hashlib.sha256(b''.join(parts)).hexdigest()}")
    assert b"Kernel panic - not syncing: NMI: Not continuing" in bucket.objects["/dmesg"]
    _remove(agent, vmcore)


def _send(agent: Agent, bucket: Bucket, found: dict[str, Any]) -> list[bytes]:
    """Both rounds of an upload that is one batch; the parts as they arrived."""
    vmcore, dmesg = found["vmcore"], found["dmesg"]
    lines: list[list[Any]] = [["dmesg", 0, 0, dmesg["sizeBytes"], dmesg["digest"], "http://10.0.2.100/dmesg?a=b"]]
    lines.append(["describe", 1, 0, vmcore["sizeBytes"], PART_BYTES, "http://10.0.2.100/digests?a=b"])
    assert _upload(agent, bucket, vmcore, lines)["uploadedBytes"] == dmesg["sizeBytes"]
    described = [line.split("\t") for line in bucket.objects["/digests"].decode().splitlines()]
    lines = [
        [
            "part",
            int(number),
            (int(number) - 1) * PART_BYTES,
            int(length),
            digest,
            f"http://10.0.2.100/part-{number}?a=b",
        ]
        for number, length, digest in described
    ]
    bucket.misbehave["/part-1"] = [500]
    report = _upload(agent, bucket, vmcore, lines)
    assert (report["uploadedParts"], report["uploadedBytes"]) == (len(described), vmcore["sizeBytes"])
    return [bucket.objects[f"/part-{number}"] for number in range(1, len(described) + 1)]


def _upload(agent: Agent, bucket: Bucket, vmcore: dict[str, Any], lines: list[list[Any]]) -> dict[str, Any]:
    bucket.objects["/manifest.tsv"] = "".join("\t".join(map(str, line)) + "\n" for line in lines).encode()
    return agent.run(
        "upload_vmcore",
        action="upload",
        manifestUrl="http://10.0.2.100/manifest.tsv?a=b",
        vmcorePath=vmcore["path"],
        sizeBytes=str(vmcore["sizeBytes"]),
        modifiedEpoch=str(vmcore["modifiedEpoch"]),
    )


def _remove(agent: Agent, vmcore: dict[str, Any]) -> None:
    parameters = {"vmcorePath": vmcore["path"], "sizeBytes": str(vmcore["sizeBytes"])}
    parameters["modifiedEpoch"] = str(vmcore["modifiedEpoch"])
    report = agent.run("upload_vmcore", action="remove", **parameters)
    assert report["status"] == "removed"
    assert report["freedBytes"] > vmcore["sizeBytes"]
    assert agent.run("upload_vmcore", action="remove", **parameters)["status"] == "already-removed"
    assert agent.run("upload_vmcore")["error"] == "VmcoreNotFound"
    assert agent.run("check_kdump", volumeId=VOLUME_ID)["ready"] is True
