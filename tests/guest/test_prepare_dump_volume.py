"""Which disk becomes the dump volume, on a real kernel; tests/guest/test_hang_to_vmcore.py goes on to the vmcore."""

from collections.abc import Iterator

import pytest

from lab.guest import QemuGuest, wait_until
from lab.image import ensure_image
from tests.guest.agent import BOOT_SECONDS, Agent

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1800)]
VOLUME_ID = "vol-0d0c5000000000001"
FOREIGN_VOLUME_ID = "vol-0d0c5000000000002"


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """One guest for the whole story; the tests below are its chapters, in order."""
    # Nothing listens there: nothing is uploaded.
    guest = QemuGuest(tmp_path_factory.mktemp("guest"), disk=ensure_image(), s3_port=9)
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
