"""A fresh host of any distribution, brought to the point where it can dump."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.ssm_documents.fake_root import VOLUME_ID, FakeRoot
from tests.ssm_documents.hosts import Host, host

MEMORY_MIB = 7800  # MemTotal of 8 GB
ROOM = f"/ {8 << 30} {4 << 30}\n/var/crash {8 << 30} {7 << 30}\n"


def fresh_host(host: Host, path: Path, *, memory_mib: int = MEMORY_MIB) -> FakeRoot:
    """With an empty dump volume attached, and the tools that every cloud image has."""
    root = FakeRoot(path, memory_mib=memory_mib, host=host)
    root.add_disk("nvme1n1", serial=VOLUME_ID.replace("-", ""), device="259:2")
    root.install("sfdisk", "mkfs.xfs", "mkfs.ext4")
    root.write("file-systems", ROOM)
    return root


def prepared_host(host: Host, path: Path, *, file_system: str = "xfs", memory_mib: int = MEMORY_MIB) -> FakeRoot:
    """With the dump volume mounted."""
    root = fresh_host(host, path, memory_mib=memory_mib)
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID, fileSystem=file_system).result["status"] == "prepared"
    return root


@cache
def _prepared_template(name: str, memory_mib: int) -> tuple[FakeRoot, TemporaryDirectory[str]]:
    directory = TemporaryDirectory()
    return prepared_host(host(name), Path(directory.name) / "root", memory_mib=memory_mib), directory


def prepared_copy(name: str, path: Path, *, memory_mib: int = MEMORY_MIB) -> FakeRoot:
    """The same, made once for all tests."""
    return FakeRoot.copied(_prepared_template(name, memory_mib)[0], path)


def made_ready(host: Host, path: Path) -> tuple[FakeRoot, dict[str, str]]:
    """A host that was prepared, configured and rebooted; and its files as they were before."""
    root = fresh_host(host, path)
    before = root.tree()
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    run = root.run("configure_kdump", reboot="true")
    assert run.exit_code in (0, 194), run.stdout + run.stderr
    if run.exit_code == 194:
        root.reboot()
        assert root.run("configure_kdump", reboot="true").result["status"] == "configured"
    return root, before
