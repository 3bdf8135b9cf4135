"""Fixtures of the document tests."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.ssm_documents.bucket import Bucket, serve_bucket
from tests.ssm_documents.dumps import STAMP, VMCORE, flattened, put
from tests.ssm_documents.fake_root import MIB, VOLUME_ID, FakeRoot
from tests.ssm_documents.hosts import host
from tests.ssm_documents.real_root.story import Story, make_ready


@pytest.fixture
def root(tmp_path: Path) -> FakeRoot:
    """A freshly launched instance."""
    return FakeRoot(tmp_path / "root")


def attach_volume(root: FakeRoot) -> FakeRoot:
    root.add_disk("nvme1n1", serial=VOLUME_ID.replace("-", ""), device="259:2")
    root.install("sfdisk", "mkfs.xfs", "mkfs.ext4")
    root.write("file-systems", f"/ {8 << 30} {4 << 30}\n/var/crash {8 << 30} {7 << 30}\n")
    return root


@pytest.fixture
def root_with_volume(root: FakeRoot) -> FakeRoot:
    """With an empty dump volume attached, and a partitioning tool."""
    return attach_volume(root)


def _arm(root: FakeRoot) -> FakeRoot:
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).exit_code == 0
    run = root.run("configure_kdump", reboot="true")
    if run.exit_code == 194:
        root.reboot()
        run = root.run("configure_kdump", reboot="true")
    assert run.exit_code == 0, f"{run.stdout}\n{run.stderr}"
    return root


@pytest.fixture(scope="session")
def armed_templates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], FakeRoot]:
    """By name of the host: prepared, configured, rebooted. Copied for each test that wants one."""

    @cache
    def template(name: str) -> FakeRoot:
        return _arm(attach_volume(FakeRoot(tmp_path_factory.mktemp(name) / "root", host=host(name))))

    return template


@pytest.fixture
def armed(armed_templates: Callable[[str], FakeRoot], tmp_path: Path) -> Callable[[str], FakeRoot]:
    """A host of that name, ready to dump."""
    return lambda name: FakeRoot.copied(armed_templates(name), tmp_path / f"armed-{name}")


@pytest.fixture
def armed_root(armed: Callable[[str], FakeRoot]) -> FakeRoot:
    """Debian, ready to dump."""
    return armed("debian12")


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A host with real packages that was made ready; only for tests with NEEDS_REAL_ROOT."""
    return make_ready(tmp_path_factory.mktemp("real-root"))


@pytest.fixture
def dump(root: FakeRoot) -> bytes:
    """A complete dump of 20 MiB and a bit, with its dmesg, as kdump-tools leaves it."""
    data = flattened(20 * MIB + 12345)
    put(root, VMCORE, data)
    put(root, f"/var/crash/{STAMP}/dmesg.{STAMP}", b"Kernel panic - not syncing: NMI: Not continuing\n")
    put(root, "/var/crash/kexec_cmd", b"/sbin/kexec -p\n")
    return data


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """An S3 endpoint on loopback."""
    with serve_bucket() as bucket:
        yield bucket
