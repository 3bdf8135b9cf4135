"""AnalyzeVmcore without a host: a second real guest, launched for it, reads a dump with the symbols of its kernel.

RunInstances launches it from the guests' own disk. Its symbols and its drgn come on a disk (twin_disk.py); the
transfer, the unprivileged user and the analysis are those of the document.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from analysis.compare_with_crash import compare, stacks_by_crash
from lab.guest import QemuGuest
from lab.guest.hardware import Hardware, serial_of
from lab.guest.saved_state import restored
from lab.machines.machine import Completed
from tests.guest.kernel_packages import KernelPackages, ensure_kernel_packages
from tests.guest.region import Region, hangdump_region
from tests.guest.twin_disk import VOLUME, make_twin_disk

pytestmark = [pytest.mark.guest, pytest.mark.timeout(5400)]

_BECOME_TWIN = Path(__file__).with_name("become_twin.sh").read_text()
# drgn holds the symbols of the kernel, and runs some ten times slower than on a processor.
_MEMORY_MIB = 3072
_ANALYSIS_SECONDS = 3600


class Twin(QemuGuest):
    """Has what its distribution would give it, and remembers what was left when it was told to end."""

    is_ready = False
    users: str = ""

    def start(self, *, incoming: str = "") -> None:
        if VOLUME not in self.attached_volumes:
            self.attach_disk(VOLUME, 10, "/dev/sdz")
        super().start(incoming=incoming)

    def run(self, script: str, *, environment: Mapping[str, str], timeout_seconds: float) -> Completed:
        if not self.is_ready:
            given = {"DISK_SERIAL": serial_of(VOLUME)}
            done = super().run(_BECOME_TWIN, environment=given, timeout_seconds=120)
            assert done.exit_code == 0, done
            self.is_ready = True
        done = super().run(script, environment=environment, timeout_seconds=timeout_seconds)
        look = "#!/bin/sh\nid -u hangdump-analysis; ls -A /var/tmp\n"
        self.users = super().run(look, environment={}, timeout_seconds=60).stdout
        return done


@pytest.fixture(scope="module")
def kernel(armed_state: Path, tmp_path_factory: pytest.TempPathFactory) -> KernelPackages:
    with restored(armed_state, tmp_path_factory.mktemp("kernel") / "guest", s3_port=9) as guest:
        release = guest.run("#!/bin/sh\nuname -r\n", environment={}, timeout_seconds=60).stdout.strip()
    return ensure_kernel_packages(release)


@pytest.fixture(scope="module")
def region(
    armed_state: Path, guest_image: Path, kernel: KernelPackages, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Region]:
    work = tmp_path_factory.mktemp("twin")
    make_twin_disk(work / "volumes", kernel, tmp_path_factory.mktemp("disk"))

    def make(workdir: Path, **given: Any) -> QemuGuest:
        return Twin(workdir, hardware=Hardware(memory_mib=_MEMORY_MIB), **given)

    settings = {"analysisTimeoutSeconds": 3300}
    with hangdump_region(work, armed=armed_state, image=guest_image, settings=settings, make=make) as region:
        yield region


@dataclass(frozen=True)
class Analysed:
    ended: dict[str, Any]
    analysis: dict[str, Any]
    vmcore: Path
    twin: Twin
    left: list[str]


@pytest.fixture(scope="module")
def analysed(region: Region, tmp_path_factory: pytest.TempPathFactory) -> Analysed:
    """One diagnostic interrupt, its vmcore, and the analysis that is given nothing but the incident."""
    with region.victim() as victim:
        collected = region.wait_for(region.interrupt_and_collect(victim))
        assert collected["status"] == "SUCCEEDED", collected
        execution = region.account.start_execution("AnalyzeVmcore", {"incidentId": collected["output"]["incidentId"]})
        ended = region.account.wait_for_execution(execution, timeout_seconds=_ANALYSIS_SECONDS)
        assert ended["status"] == "SUCCEEDED", (ended, [each.console()[-2000:] for each in region.guests])
        left = region.left_of_rescues(victim.instance_id)
        found = region.objects_of(victim.instance_id)["analysis.json"]
    vmcore = region.download(collected["output"]["keys"]["vmcore"], tmp_path_factory.mktemp("download") / "vmcore")
    (twin,) = [each for each in region.guests if isinstance(each, Twin)]
    return Analysed(ended, json.loads(found), vmcore, twin, left)


def test_a_guest_launched_for_it_reads_the_dump_with_exactly_its_symbols(
    analysed: Analysed, kernel: KernelPackages
) -> None:
    assert analysed.analysis["isSymbolsMatched"] is True
    assert analysed.analysis["kernelRelease"] == kernel.release
    assert analysed.analysis["culprit"], analysed.analysis["problems"]


def test_its_stacks_are_those_that_crash_prints(analysed: Analysed, kernel: KernelPackages) -> None:
    compared = compare(analysed.analysis["cpus"], stacks_by_crash(kernel.vmlinux, analysed.vmcore))
    assert compared
    assert [str(each) for each in compared if not each.is_same] == []


def test_the_twin_is_gone_and_left_no_dump_on_its_disk(analysed: Analysed) -> None:
    assert analysed.left == []
    assert not analysed.twin.is_running()
    user, *files = analysed.twin.users.split()
    assert int(user) > 0
    assert files == []
