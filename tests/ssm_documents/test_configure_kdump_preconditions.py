"""What stops configure_kdump, by name, before anything is changed."""

from collections.abc import Callable

import pytest

from tests.ssm_documents.fake_root import KERNEL, MIB, VOLUME_ID, FakeRoot
from tests.ssm_documents.host_states import CONFIGURATION, install_kdump


def _on_xen(root: FakeRoot) -> None:
    root.write("sys/class/dmi/id/sys_vendor", "Xen\n")


def _with_a_xen_hypervisor(root: FakeRoot) -> None:
    root.write("sys/hypervisor/type", "xen\n")


def _at_home(root: FakeRoot) -> None:
    root.write("sys/class/dmi/id/sys_vendor", "QEMU\n")


def _without_crash_dump(root: FakeRoot) -> None:
    root.write(f"boot/config-{KERNEL}", "# CONFIG_CRASH_DUMP is not set\n")


def _without_kexec_at_all(root: FakeRoot) -> None:
    (root.path / f"boot/config-{KERNEL}").unlink()
    (root.path / "sys/kernel/kexec_crash_size").unlink()


def _with_512_mb(root: FakeRoot) -> None:
    root.memory_mib = 472
    root.boot(cmdline="quiet", reserved_mib=0)


def _with_a_full_boot(root: FakeRoot) -> None:
    root.write("file-systems", f"/ {8 << 30} {4 << 30}\n/boot {500 * MIB} {3 * MIB}\n")


def _with_a_full_var(root: FakeRoot) -> None:
    root.write("file-systems", f"/ {8 << 30} {4 << 30}\n/var {500 * MIB} {100 * MIB}\n")


def _managed_by_ostree(root: FakeRoot) -> None:
    root.write("run/ostree-booted", "")


def _mounted(point: str, options: str) -> Callable[[FakeRoot], None]:
    """The last mount at that point, as mountinfo shows it."""
    line = f"61 25 259:9 / {point} {options} shared:9 - ext4 /dev/nvme0n1p9 rw\n"

    def spoil(root: FakeRoot) -> None:
        root.write("proc/self/mountinfo", root.read("proc/self/mountinfo") + line)

    return spoil


# Before anything on the host is touched, by the first document and by the second.
@pytest.mark.parametrize("verb_phrase", ["prepare_dump_volume", "configure_kdump"])
@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (_managed_by_ostree, "ostree"),
        (_mounted("/", "ro,relatime"), "/ is mounted read-only"),
        (_mounted("/usr", "ro,nodev"), "/usr is mounted read-only"),
        (_mounted("/boot", "ro"), "/boot is mounted read-only"),
    ],
)
def test_root_that_cannot_be_written_to_is_refused_by_name(
    root_with_volume: FakeRoot, verb_phrase: str, spoil: Callable[[FakeRoot], None], word: str
) -> None:
    spoil(root_with_volume)
    before = root_with_volume.tree()
    given = {"volumeId": VOLUME_ID} if verb_phrase == "prepare_dump_volume" else {}
    run = root_with_volume.run(verb_phrase, **given)
    assert run.error == "ReadOnlyRoot"
    assert word in run.stdout
    assert root_with_volume.tree() == before


@pytest.mark.parametrize(("point", "options"), [("/", "rw,relatime"), ("/boot/efi", "ro"), ("/opt", "ro")])
def test_other_mounts_are_no_read_only_root(root_with_volume: FakeRoot, point: str, options: str) -> None:
    _mounted("/", "ro")(root_with_volume)
    _mounted("/", "rw")(root_with_volume)
    _mounted(point, options)(root_with_volume)
    assert root_with_volume.run("configure_kdump").result["status"] == "reboot-required"


@pytest.mark.parametrize(
    ("spoil", "error", "word"),
    [
        (_on_xen, "NotNitro", "Xen"),
        (_with_a_xen_hypervisor, "NotNitro", "Nitro"),
        (_at_home, "NotNitro", "QEMU"),
        (_without_crash_dump, "NoCrashDumpSupport", "CONFIG_CRASH_DUMP"),
        (_without_kexec_at_all, "NoCrashDumpSupport", KERNEL),
        (_with_512_mb, "InsufficientMemory", "472 MiB"),
        (_with_a_full_boot, "InsufficientBootSpace", "/boot has 3 MiB"),
        (_with_a_full_var, "InsufficientBootSpace", "/var/lib/kdump has 100 MiB"),
    ],
)
def test_precondition_is_named_and_nothing_is_changed(root: FakeRoot, spoil: object, error: str, word: str) -> None:
    assert callable(spoil)
    spoil(root)
    before = root.tree()
    run = root.run("configure_kdump", reboot="true")
    assert (run.exit_code, run.error) == (1, error)
    assert word in run.stdout
    assert root.tree() == before


def test_kernel_without_its_config_file_is_judged_by_what_it_shows(root: FakeRoot) -> None:
    (root.path / f"boot/config-{KERNEL}").unlink()
    assert root.run("configure_kdump").result["status"] == "reboot-required"


def test_compression_that_makedumpfile_lacks_is_refused(root: FakeRoot) -> None:
    run = root.run("configure_kdump", coreCollector="makedumpfile -z")
    assert run.error == "InvalidParameter"
    assert "zstd" in run.stdout


def test_threads_that_abort_in_the_crash_kernel_are_refused(root: FakeRoot) -> None:
    before = root.tree()
    run = root.run("configure_kdump", coreCollector="makedumpfile -l --num-threads 2")
    assert run.error == "InvalidParameter"
    assert "--num-threads" in run.stdout
    assert root.tree() == before


def test_dump_level_belongs_into_its_own_parameter(root: FakeRoot) -> None:
    assert root.run("configure_kdump", coreCollector="makedumpfile -l -d 1").error == "InvalidParameter"


@pytest.mark.parametrize(
    "line", ['NFS="server:/dumps"', "export NFS=server:/dumps", "\tSSH='kdump@server:/dumps' # ours"]
)
def test_host_that_dumps_to_a_server_is_not_redirected(root: FakeRoot, line: str) -> None:
    install_kdump(root)
    root.write(CONFIGURATION, f"USE_KDUMP=1\n{line}\n")
    run = root.run("configure_kdump")
    assert run.error == "ConfigurationFailed"
    assert "server:/dumps" in run.stdout


def test_server_that_is_empty_is_none(root: FakeRoot) -> None:
    install_kdump(root)
    root.write(CONFIGURATION, 'USE_KDUMP=1\nNFS=""\nSSH=\n#FTP="server:/dumps"\n')
    assert root.run("configure_kdump").result["status"] == "reboot-required"


def test_works_on_a_prepared_volume_in_any_order(root_with_volume: FakeRoot) -> None:
    assert root_with_volume.run("configure_kdump").result["status"] == "reboot-required"
    assert root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    root_with_volume.reboot()
    assert root_with_volume.run("check_kdump", volumeId=VOLUME_ID).result["ready"] is True
