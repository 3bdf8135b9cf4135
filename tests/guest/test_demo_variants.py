"""The demo as `make demo` alone does not show it: ext4, poweroff, 4 GiB, a hardened host; on a real kernel.

With xfs, reboot and 1 GiB it is `make demo` itself; a run takes minutes, and the image of another release as many, so
the further combinations are left to `make demo RELEASE=… FILE_SYSTEM=… FINAL_ACTION=… MEMORY_MIB=… HARDENED=…`.
"""

import shutil
from pathlib import Path

import pytest
from rich.console import Console

from lab.demo.results import Results
from lab.demo.story import Outcome, Story
from lab.demo.timeline import Timeline
from lab.demo.variant import Variant
from lab.image.build import CACHE

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1800)]

VARIANTS = [
    Variant(release="bookworm", file_system="ext4", final_action="poweroff", memory_mib=4096, hardened="yes"),
]
# linux-image-cloud-amd64 of the release.
KERNELS = {"bookworm": "6.1.", "trixie": "6.12."}
# ssm_documents/families/debian.sh, debian_crashkernel_table; trixie's kdump-tools may estimate that it needs more.
RESERVED_MIB = {1024: 192, 4096: 512}


@pytest.fixture(scope="module", params=VARIANTS, ids=str)
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """One run of the whole story; its console is kept when it fails."""
    variant: Variant = request.param
    folder = tmp_path_factory.mktemp("demo")
    results = Results(folder / "results")
    timeline = Timeline(Console(highlight=False, soft_wrap=True))
    try:
        return Story(timeline, results, folder, variant).run()
    except BaseException:
        keep_console(results.folder / "console.log", str(variant))
        raise


def keep_console(log: Path, name: str) -> None:
    """Where CI collects consoles."""
    kept = CACHE / "failed-consoles" / f"demo {name}.log"
    kept.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        shutil.copy(log, kept)


def test_the_vmcore_opens_and_holds_the_nmi_panic(outcome: Outcome) -> None:
    assert outcome.verdict["verdict"] == "captured"
    assert outcome.proof.panic_line == "NMI: Not continuing"
    assert outcome.proof.kernel.startswith(KERNELS[outcome.variant.release])


def test_the_dump_went_to_a_volume_with_the_file_system_asked_for(outcome: Outcome) -> None:
    assert outcome.observed.release == outcome.variant.release
    assert outcome.observed.file_system == outcome.variant.file_system


def test_the_host_was_hardened_and_is_after_the_dump(outcome: Outcome) -> None:
    assert outcome.observed.hardened == outcome.variant.hardened


def test_an_instance_that_powers_off_was_stopped_once_and_is_back(outcome: Outcome) -> None:
    assert outcome.observed.times_stopped == {"reboot": 0, "poweroff": 1}[outcome.variant.final_action]


def test_the_reservation_is_at_least_that_of_the_memory(outcome: Outcome) -> None:
    assert outcome.observed.reserved_mib >= RESERVED_MIB[outcome.variant.memory_mib]
