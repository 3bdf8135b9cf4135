"""The way out: what configuring changed is as it was, what somebody else changed since stays, and no dump is lost."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.ssm_documents.document_run import Run
from tests.ssm_documents.dumps import STAMP, VMCORE, flattened, put
from tests.ssm_documents.fake_root import MIB, VOLUME_ID, FakeRoot
from tests.ssm_documents.hosts import HOSTS, host
from tests.ssm_documents.ledger import LEDGER, originals
from tests.ssm_documents.ready_host import fresh_host, made_ready, prepared_host
from tests.ssm_documents.spoiling import add_line, replace
from tests.ssm_documents.test_owner_grammar import EXAMPLES, SET, install_kdump, owner_lines, put_lines

CONFIGURATION = "etc/default/kdump-tools"
GRUB = "etc/default/grub"
OURS = "etc/sysctl.d/99-kernel_panic.conf"
# What the host itself counts and learns, the disk's new file system, and what a package manager keeps of itself.
OTHERS = re.compile(
    r"boot-count|calls|debconf|kexec_cmd|proc/(cmdline|meminfo|self|stat|sys/kernel/random)|signatures/|sys/block/"
    r"|var/lib/(apt|dpkg|rpm|zypp|kdump)|run/|file-systems"
)
Armed = Callable[[str], FakeRoot]


def _unconfigure(root: FakeRoot, **given: str) -> Run:
    return root.run("unconfigure_kdump", volumeId=VOLUME_ID, **given)


def _tree(root: FakeRoot) -> dict[str, str]:
    return {path: text for path, text in root.tree().items() if not OTHERS.search(path)}


def _made_by_tool(root: FakeRoot) -> None:
    """A grub.cfg that its tool made, as every real one: the host's own in the tests is shorter."""
    if root.host.family == "debian":
        root.command("update-grub")


# --- as it was


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.nightly) for name in HOSTS if name != "rhel9"])
def test_host_is_byte_for_byte_as_it_was(name: str, tmp_path: Path) -> None:
    _check_round_trip(name, tmp_path)


def test_host_with_boot_loader_entries_is_byte_for_byte_as_it_was(tmp_path: Path) -> None:
    _check_round_trip("rhel9", tmp_path)


def _check_round_trip(name: str, tmp_path: Path) -> None:
    root = fresh_host(host(name), tmp_path / "root")
    _made_by_tool(root)
    before = _tree(root)
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    if root.run("configure_kdump", reboot="true").exit_code == 194:
        root.reboot()
        assert root.run("configure_kdump", reboot="true").result["status"] == "configured"
    reserved = int(root.read("sys/kernel/kexec_crash_size"))
    result = _unconfigure(root).result
    assert (result["status"], result["left"], result["volumeEmpty"]) == ("unconfigured", [], True)
    if result["kdump"] == "off":
        before["sys/kernel/kexec_crash_loaded"] = before["sys/kernel/kexec_crash_size"] = "0\n"
        assert result["bytesGivenBack"] == reserved
    after = _tree(root)
    changed = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    kept = "sys/kernel/kexec_crash" if result["kdump"] == "owner" else "nothing"
    assert {path for path in changed if not path.startswith(kept)} == set()
    again = _unconfigure(root).result
    assert (again["status"], again["changes"], again["volumeEmpty"]) == ("unchanged", [], True)
    assert _tree(root) == after


def test_newer_settings_do_not_become_originals(root_with_volume: FakeRoot) -> None:
    root = root_with_volume
    _made_by_tool(root)
    before = _tree(root)
    root.run("prepare_dump_volume", volumeId=VOLUME_ID)
    root.run("configure_kdump")
    root.run("configure_kdump", dumpLevel="17", hung_task_panic="1", crashkernel="320M", guestWatchdog="true")
    root.run("configure_kdump", dumpLevel="31", finalAction="poweroff")
    assert _unconfigure(root).result["left"] == []
    assert _tree(root) == before


def test_kdump_of_before_runs_again_as_its_owner_configured_it(tmp_path: Path) -> None:
    root = fresh_host(host("rhel9"), tmp_path / "root")
    root.command("dnf", "install", "kexec-tools")
    root.set_unit("kdump.service", "enabled")
    replace(root, "etc/kdump.conf", "path /var/crash", "path /srv/dumps")
    (root.path / "srv/dumps").mkdir(parents=True)
    root.command("grubby", "--update-kernel=ALL", "--args=crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M")
    root.reboot()
    before = _tree(root)
    root.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert root.run("configure_kdump").result["status"] == "configured"
    result = _unconfigure(root).result
    assert (result["kdump"], result["bytesGivenBack"], result["left"]) == ("owner", 0, [])
    assert _tree(root) == before
    assert "systemctl restart kdump.service" in root.calls[-12:]


# --- changed since


def test_edits_of_others_stay_and_what_they_changed_of_ours_is_named(armed: Armed) -> None:
    root = armed("debian12")
    add_line(root, CONFIGURATION, "KDUMP_NUM_DUMPS=9")
    replace(root, CONFIGURATION, "USE_KDUMP=1", "USE_KDUMP=0")
    add_line(root, "etc/fstab", "server:/x /mnt nfs nofail 0 0")
    add_line(root, OURS, "vm.swappiness = 1")
    replace(root, OURS, "kernel.panic_on_oops = 1", "kernel.panic_on_oops = 0")
    root.write("proc/sys/kernel/unknown_nmi_panic", "7\n")
    root.write("var/lib/dpkg/needed", "kdump-tools\n")
    left = _unconfigure(root).result["left"]
    assert [(each["file"], each["key"]) for each in left] == [
        ("the running kernel", "kernel.unknown_nmi_panic"),
        ("/etc/sysctl.d/99-kernel_panic.conf", "kernel.panic_on_oops"),
        ("", "packages"),
    ]
    lines = root.read(CONFIGURATION).splitlines()
    assert "KDUMP_NUM_DUMPS=9" in lines
    assert [line for line in lines if line.startswith(("KDUMP_COREDIR", "MAKEDUMP"))] == ['KDUMP_COREDIR="/var/crash"']
    assert root.read("etc/fstab").endswith("server:/x /mnt nfs nofail 0 0\n")
    assert "x-hangdump" not in root.read("etc/fstab")
    assert root.read(OURS) == "kernel.panic_on_oops = 0\nvm.swappiness = 1\n"
    assert root.read("proc/sys/kernel/unknown_nmi_panic") == "7\n"


@pytest.mark.parametrize(
    ("now", "then", "left"),
    [
        ("quiet crashkernel=192M", "quiet nosmt crashkernel=192M", []),
        ("crashkernel=192M", "crashkernel=96M", ["crashkernel=96M"]),
    ],
    ids=["another-argument", "another-reservation"],
)
def test_argument_of_others_stays_on_the_line_that_has_ours(
    root_with_volume: FakeRoot, now: str, then: str, left: list[str]
) -> None:
    root = root_with_volume
    line = 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT '
    root.run("prepare_dump_volume", volumeId=VOLUME_ID)
    root.run("configure_kdump", crashkernel="192M")
    path = "etc/default/grub.d/kdump-tools.cfg"
    root.write(path, f'{line}{then}"\n' if "quiet" in now else root.read(path).replace(now, then))
    root.write("var/lib/dpkg/needed", "kdump-tools\n")
    result = _unconfigure(root).result
    assert [each["found"] for each in result["left"] if each["key"] == "crashkernel"] == left
    assert ("nosmt" in root.read(path)) is (not left)
    assert "crashkernel=192M" not in root.read(path) + root.read("boot/grub/grub.cfg")


def test_kernel_that_was_installed_since_loses_our_reservation_too(armed: Armed) -> None:
    root = armed("rhel9")
    (entry,) = [path for path in (root.path / "boot/loader/entries").iterdir() if root.host.kernel in path.name]
    newer = entry.with_name(entry.name.replace(root.host.kernel, "5.14.0-999.el9.x86_64"))
    newer.write_text(entry.read_text())
    assert "crashkernel=" in newer.read_text()
    assert _unconfigure(root).result["left"] == []
    assert "crashkernel=" not in newer.read_text() + root.read("etc/kernel/cmdline")


def test_file_that_is_gone_is_named(armed: Armed) -> None:
    root = armed("sles16")
    root.write("var/lib/rpm/installed", "")
    (root.path / "etc/sysconfig/kdump").unlink()
    (left,) = _unconfigure(root).result["left"]
    assert (left["file"], left["found"]) == ("/etc/sysconfig/kdump", "no file")


# A document takes a second or more, and each example runs four.
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "debian12" else [pytest.mark.nightly]) for name in SET]
)
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_files_of_an_owner_come_back_byte_for_byte_whatever_is_in_them(name: str, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        root = install_kdump(name, folder)
        put_lines(root, data.draw(owner_lines(name)))
        _made_by_tool(root)
        before = {path: text for path, text in _tree(root).items() if path.startswith(("etc/", "boot/"))}
        assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).exit_code == 0
        if root.run("configure_kdump").exit_code != 0:
            return
        # Somebody else's line, below ours.
        later = data.draw(st.sampled_from(["", "# later", "MY_LATER=1"]))
        for path in SET[name] if later else ():
            root.write(path, root.read(path) + f"{later}\n")
            before[path] += f"{later}\n"
        assert _unconfigure(root).result["left"] == []
        after = {path: text for path, text in _tree(root).items() if path.startswith(("etc/", "boot/"))}
        assert after == before


# --- refused before the first change


@pytest.mark.parametrize("size", [0, 3])
def test_refuses_while_a_dump_lies_on_the_volume_and_names_it(armed: Armed, size: int) -> None:
    root = armed("debian12")
    put(root, VMCORE, flattened(MIB))
    for number in range(size):
        put(root, f"/var/crash/20261123040{number}/dump-incomplete", b"x")
    before = root.tree()
    run = _unconfigure(root)
    assert run.error == "DumpOnInstance"
    assert run.report is not None
    assert f"/var/crash/{STAMP}/dump" in run.report["message"] or "dump-incomplete" in run.report["message"]
    assert ("more" in run.report["message"]) is (size > 0)
    assert root.tree() == before


def test_refuses_while_the_crash_kernel_dumps(armed: Armed) -> None:
    root = armed("debian12")
    root.write("proc/vmcore", "x")
    before = root.tree()
    assert _unconfigure(root).error == "DumpOnInstance"
    assert root.tree() == before


# --- the volume


def test_other_files_do_not_refuse_but_the_volume_is_not_empty(armed: Armed) -> None:
    root = armed("debian12")
    put(root, "/var/crash/kexec_cmd", b"/sbin/kexec -p\n")
    put(root, f"/var/crash/{STAMP}/dmesg.{STAMP}", b"Kernel panic\n")
    put(root, "/var/crash/notes.txt", b"ours\n")
    result = _unconfigure(root).result
    assert (result["volumeEmpty"], result["files"]) == (False, [f"{STAMP}/dmesg.{STAMP}", "notes.txt"])


@pytest.mark.parametrize("volume", ["none", "vol-0fffffffffffffff0"])
def test_volume_that_the_host_does_not_have_is_not_called_empty(armed: Armed, volume: str) -> None:
    root = armed("debian12")
    assert root.run("unconfigure_kdump", volumeId=volume).result["volumeEmpty"] is False


def test_kernel_of_a_second_reservation_loses_it_too_and_gets_none_of_ours_of_before(tmp_path: Path) -> None:
    root = fresh_host(host("rhel9"), tmp_path / "root")
    root.run("prepare_dump_volume", volumeId=VOLUME_ID)
    for value in ("256M", "320M"):
        root.run("configure_kdump", crashkernel=value)
    (entry,) = [path for path in (root.path / "boot/loader/entries").iterdir() if root.host.kernel in path.name]
    newer = entry.with_name(entry.name.replace(root.host.kernel, "5.14.0-999.el9.x86_64"))
    newer.write_text(entry.read_text())
    assert _unconfigure(root).result["left"] == []
    assert [path.name for path in newer.parent.iterdir() if "crashkernel=" in path.read_text()] == []


def test_volume_that_is_busy_is_named_and_the_next_run_finishes(armed: Armed) -> None:
    root = armed("debian12")
    root.write("umount-is-busy", "")
    run = _unconfigure(root)
    assert run.error == "ConfigurationFailed"
    assert "fuser -vm /var/crash" in run.stdout
    assert "x-hangdump" in root.read("etc/fstab")
    (root.path / "umount-is-busy").unlink()
    result = _unconfigure(root).result
    assert (result["status"], result["left"], result["volumeEmpty"]) == ("unconfigured", [], True)
    assert not (root.path / LEDGER).exists()


def test_mount_point_is_the_hosts_own(root_with_volume: FakeRoot) -> None:
    root = root_with_volume
    root.write("file-systems", f"/ {8 << 30} {4 << 30}\n/srv/dumps {8 << 30} {7 << 30}\n")
    root.run("prepare_dump_volume", volumeId=VOLUME_ID, mountPoint="/srv/dumps")
    root.run("configure_kdump", mountPoint="/srv/dumps")
    assert _unconfigure(root).result["volumeEmpty"] is True
    assert not (root.path / "srv/dumps").exists()
    assert "/srv/dumps" not in root.read("proc/self/mountinfo")


# --- half-way, and older versions


@pytest.mark.parametrize("path", ["boot/grub/grub.cfg", "etc/default/kdump-tools", "etc/fstab"])
def test_run_that_failed_half_way_can_be_run_again(armed: Armed, tmp_path: Path, path: str) -> None:
    root = armed("debian12")
    other = FakeRoot.copied(root, tmp_path / "other")
    assert _unconfigure(other).result["status"] == "unconfigured"
    # Nothing can be written beside that file.
    (root.path / f"{path}.hangdump-new").mkdir()
    run = _unconfigure(root)
    assert run.error == "ConfigurationFailed"
    assert (root.path / LEDGER).exists()
    (root.path / f"{path}.hangdump-new").rmdir()
    result = _unconfigure(root).result
    assert (result["status"], result["left"], result["volumeEmpty"]) == ("unconfigured", [], True)
    assert _tree(root) == _tree(other)


def test_record_that_a_power_failure_cut_short_is_none(armed: Armed) -> None:
    root = armed("debian12")
    root.write(LEDGER, root.read(LEDGER) + "\nfile /etc/default/kdump-tools =QUJD")
    assert _unconfigure(root).result["left"] == []


def _as_an_older_version_left_it(root: FakeRoot) -> None:
    """No ledger; the first version of each file that was edited lies beside it."""
    for path, text in originals(root).items():
        if text is not None and not path.endswith("grub.cfg"):
            root.write(f"{path}.hangdump-backup", text)
    (root.path / LEDGER).unlink()


@pytest.mark.parametrize("name", ["debian12", pytest.param("rhel9", marks=pytest.mark.nightly)])
def test_host_of_an_older_version_gets_what_is_known_undone(armed: Armed, name: str) -> None:
    root = armed(name)
    _as_an_older_version_left_it(root)
    add_line(root, GRUB, "GRUB_TIMEOUT=77")
    result = _unconfigure(root).result
    left = json.dumps(result["left"])
    assert "without a ledger" in left
    tree = _tree(root)
    assert [path for path in tree if "hangdump" in path] == []
    assert [path for path, text in tree.items() if path.startswith(("etc/", "boot/")) and "angdump" in text] == []
    assert "GRUB_TIMEOUT=77" in root.read(GRUB)
    # Debian's package has a reservation of its own: it may have been the owner's.
    assert result["kdump"] == {"debian12": "owner", "rhel9": "off"}[name]
    assert _unconfigure(root).result["status"] == "unchanged"


def test_newer_version_over_an_older_one_comes_back_to_before_both(armed: Armed) -> None:
    root = armed("debian12")
    before = root.read("etc/fstab")
    _as_an_older_version_left_it(root)
    root.run("configure_kdump", dumpLevel="17", hung_task_panic="1")
    assert "x-hangdump" in before
    _unconfigure(root)
    assert [path for path, text in _tree(root).items() if path.startswith("etc/") and "angdump" in text] == []
    assert "-d 17" not in root.read(CONFIGURATION)


def test_older_version_over_a_newer_one_does_not_make_ours_an_original(root_with_volume: FakeRoot) -> None:
    """It copies what the newer one wrote before it edits that, and writes no ledger."""
    root = root_with_volume
    root.run("prepare_dump_volume", volumeId=VOLUME_ID)
    root.run("configure_kdump")
    for path in (CONFIGURATION, "etc/default/grub.d/kdump-tools.cfg", OURS, "etc/fstab"):
        root.write(f"{path}.hangdump-backup", root.read(path))
    replace(root, CONFIGURATION, "-d 31", "-d 17")
    root.write("var/lib/dpkg/needed", "kdump-tools\n")
    left = _unconfigure(root).result["left"]
    assert (f"/{CONFIGURATION}", "MAKEDUMP_ARGS") in [(each["file"], each["key"]) for each in left]
    tree = {path: text for path, text in _tree(root).items() if path.startswith("etc/")}
    assert [path for path, text in tree.items() if "hangdump" in path + text.lower()] == []
    assert "reset_devices" not in root.read(CONFIGURATION)


def test_host_that_was_never_configured_is_left_alone(root: FakeRoot) -> None:
    before = root.tree()
    result = root.run("unconfigure_kdump").result
    assert (result["status"], result["changes"], result["volumeEmpty"]) == ("unchanged", [], False)
    assert root.tree() == before


def test_ledger_is_readable_by_root_alone(tmp_path: Path) -> None:
    root = prepared_host(host("debian12"), tmp_path / "root")
    assert (root.path / LEDGER).stat().st_mode & 0o777 == 0o600


def test_reserved_memory_is_given_back_without_a_reboot(tmp_path: Path) -> None:
    root, _ = made_ready(host("rhel9"), tmp_path / "root")
    result = _unconfigure(root).result
    assert result["bytesGivenBack"] == 256 * MIB
    assert root.read("sys/kernel/kexec_crash_size") == "0\n"
    assert root.read("sys/kernel/kexec_crash_loaded") == "0\n"
