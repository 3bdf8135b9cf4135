"""Each distribution from a fresh instance to ready: the files as they are afterwards stand in golden/, read by a human.

UPDATE_SNAPSHOTS=1 writes them. Left out is what other programs make (initramfs, packages' own state).
"""

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.ssm_documents.fake_root import VOLUME_ID, FakeRoot
from tests.ssm_documents.hosts import HOSTS, RELATIVES, host
from tests.ssm_documents.ledger import originals
from tests.ssm_documents.ready_host import made_ready

GOLDEN = Path(__file__).parent / "golden"
OURS = re.compile(r"(etc|boot)/")
OTHERS = re.compile(r"etc/kernel/postinst|etc/kdump/|initr|latest_sysctls|boot-count")
# What the package brings, and the postinst of kdump-tools makes anew, is no change of Hangdump's.
OF_PACKAGES = {
    *("etc/default/kdump-tools", "etc/default/grub.d/kdump-tools.cfg", "etc/kdump.conf", "etc/sysconfig/kdump"),
    "boot/grub/grub.cfg",
}
UPDATE = "UPDATE_SNAPSHOTS" in os.environ
NAMES = HOSTS if UPDATE else [folder.name for folder in sorted(GOLDEN.iterdir())]


@pytest.fixture(scope="module", params=NAMES)
def ready(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[FakeRoot, dict[str, str]]:
    """A host of that distribution, ready; and its files when it was fresh."""
    return made_ready(host(request.param), tmp_path_factory.mktemp("golden") / "root")


def _changed(root: FakeRoot, before: dict[str, str]) -> dict[str, str]:
    after = root.tree()
    return {
        path: text
        for path, text in after.items()
        if OURS.match(path) and not OTHERS.search(path) and before.get(path) != text
    }


def test_every_distribution_has_its_golden_tree() -> None:
    assert sorted(folder.name for folder in GOLDEN.iterdir()) == HOSTS


def test_files_that_configuring_changed_are_as_they_must_be(ready: tuple[FakeRoot, dict[str, str]]) -> None:
    root, before = ready
    folder = GOLDEN / root.host.name
    changed = _changed(root, before)
    if UPDATE:
        shutil.rmtree(folder, ignore_errors=True)
        for path, text in changed.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    golden = {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}
    assert changed == golden


def test_host_is_ready(ready: tuple[FakeRoot, dict[str, str]]) -> None:
    root, _ = ready
    result = root.run("check_kdump", volumeId=VOLUME_ID).result
    codes = [finding["code"] for finding in result["findings"]]
    assert (result["ready"], codes, result["family"]) == (True, list(root.host.findings), root.host.family)


def test_checking_changes_nothing(ready: tuple[FakeRoot, dict[str, str]]) -> None:
    root, _ = ready
    before = root.tree()
    root.run("check_kdump", volumeId=VOLUME_ID)
    assert root.tree() == before


def test_preparing_and_configuring_again_change_nothing(ready: tuple[FakeRoot, dict[str, str]]) -> None:
    root, _ = ready
    before = root.tree()
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "unchanged"
    assert root.run("configure_kdump", reboot="true").result["status"] == "unchanged"
    assert root.tree() == before


def test_ledger_has_every_file_as_it_was_before(ready: tuple[FakeRoot, dict[str, str]]) -> None:
    root, before = ready
    recorded = originals(root)
    changed = _changed(root, before)
    ours = set(changed) - OF_PACKAGES
    assert {path: recorded[path] for path in ours} == {path: before.get(path) for path in ours}


def test_next_boot_has_one_reservation_and_keeps_every_other_argument(ready: tuple[FakeRoot, dict[str, str]]) -> None:
    root, before = ready
    words = root.next_cmdline().split()
    fresh = before["proc/cmdline"].split()[1:]
    reservation = [word for word in words if word.startswith("crashkernel=")]
    assert [word.rpartition(",")[2] for word in reservation] == ["high", "low"] or len(reservation) == 1
    assert {word for word in fresh if not word.startswith("crashkernel=")} <= set(words)


@pytest.mark.slow
@pytest.mark.parametrize("name", RELATIVES)
def test_image_that_is_like_another_is_configured_like_it(name: str, tmp_path: Path) -> None:
    image = host(name)
    root, before = made_ready(image, tmp_path / "root")
    folder, other = GOLDEN / image.like, host(image.like).kernel
    golden = {
        str(file.relative_to(folder)).replace(other, image.kernel): file.read_text().replace(other, image.kernel)
        for file in folder.rglob("*")
        if file.is_file()
    }
    changed = _changed(root, before)
    fstab = changed.pop("etc/fstab"), golden.pop("etc/fstab")
    assert changed == golden
    assert len({text.splitlines()[-1] for text in fstab}) == 1
    result = root.run("check_kdump", volumeId=VOLUME_ID).result
    codes = [finding["code"] for finding in result["findings"]]
    assert (result["ready"], codes, result["family"]) == (True, list(image.findings), image.family)
