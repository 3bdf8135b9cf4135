"""DrillDump on a real kernel: a guest that RunInstances launches as the twin is provisioned, hung for good by the
document, found by its alarm, interrupted and collected by the functions of production, and removed. The instance that
it imitates is a scripted host: nothing may happen to it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.machines.scripted_machine import ScriptedMachine
from lambdas.runtime.tags import MAKER_TAG, OWNER_TAG
from tests.guest.region import Region, hangdump_region

pytestmark = [pytest.mark.guest, pytest.mark.nightly, pytest.mark.timeout(3600)]

# A provisioning that installs kdump and reboots, a hang, a dump and its upload. A bound for a test, no measurement.
DRILL_SECONDS = 3000


@pytest.fixture(scope="module")
def region(guest_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    work = tmp_path_factory.mktemp("drill")
    with hangdump_region(work, image=guest_image) as region:
        yield region


def left(region: Region, twin_id: str) -> list[str]:
    """What is still there of the twin: volumes, its alarm."""
    ec2 = region.account.client("ec2")
    volumes = [
        volume["VolumeId"]
        for key in (MAKER_TAG, OWNER_TAG)
        for volume in ec2.describe_volumes(Filters=[{"Name": "tag-key", "Values": [key]}])["Volumes"]
    ]
    alarms = region.account.client("cloudwatch").describe_alarms(AlarmNames=[f"hangdump-{twin_id}"])["MetricAlarms"]
    return [*volumes, *(each["AlarmName"] for each in alarms)]


def test_the_dump_of_a_real_twin_comes_home_and_nothing_of_it_is_left(region: Region, tmp_path: Path) -> None:
    imitated = ScriptedMachine()
    instance_id = region.account.add_instance(imitated, tags={"hangdump:enrolled": "true"})
    execution = region.account.start_execution("DrillDump", {"instanceId": instance_id})

    ended = region.account.wait_for_execution(execution, timeout_seconds=DRILL_SECONDS)

    (twin,) = region.guests
    assert ended["status"] == "SUCCEEDED", (ended, twin.console()[-4000:])
    proof: dict[str, Any] = ended["output"]
    assert (proof["status"], proof["verdict"], proof["hang"]) == ("proven", "captured", "real-time")
    print(proof["seconds"])
    vmcore = region.download(region.records()[proof["incidentId"]]["keys"]["vmcore"], tmp_path / "vmcore")
    assert vmcore.stat().st_size == proof["vmcoreBytes"] > 10 * 1024**2
    assert not twin.is_running()
    assert left(region, proof["twinId"]) == []
    # The one that it imitates has noticed nothing.
    assert (imitated.nmi_count, imitated.is_running()) == (0, True)
