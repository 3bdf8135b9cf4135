"""The crash kernel does not trip over what was set for the host: triggers, sysctl.d, its own panic."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ssm_documents.fake_root import VOLUME_ID, FakeRoot
from tests.ssm_documents.host_states import CONFIGURATION, install_kdump
from tests.ssm_documents.ready_host import prepared_copy
from tests.ssm_documents.spoiling import replace
from tests.ssm_documents.test_suse_configure import INITRDS, settings

Armed = Callable[[str], FakeRoot]
DROP_IN = "etc/systemd/system/kdump-tools-dump.service.d/hangdump.conf"
SYSCTL_DROP_IN = "etc/systemd/system/systemd-sysctl.service.d/hangdump.conf"
SUSE = "etc/sysconfig/kdump"
PRESCRIPT, POSTSCRIPT = "/etc/hangdump/kdump-prescript.sh", "/etc/hangdump/kdump-postscript.sh"
TRIGGERS = [
    "unknown_nmi_panic",
    "panic_on_oops",
    "hardlockup_panic",
    "softlockup_panic",
    "hung_task_panic",
    "panic_on_rcu_stall",
    "panic_on_io_nmi",
    "panic_on_unrecovered_nmi",
    "panic_on_warn",
]
# What versions before the scripts wrote.
OLD_PRESCRIPT = "echo 0 >/proc/sys/kernel/unknown_nmi_panic; echo 10 >/proc/sys/kernel/panic"
OLD_POSTSCRIPT = "umount -a; poweroff -f"
# kdump 1.9 to 2.1.0.
WITHOUT_SHELL = """	# KDUMP_POSTSCRIPT
	if [[ -n ${KDUMP_POSTSCRIPT} ]]; then
		echo "Running KDUMP_POSTSCRIPT (${KDUMP_POSTSCRIPT})"
		${KDUMP_POSTSCRIPT}
"""


def _codes(root: FakeRoot, **given: str) -> list[str]:
    findings = root.run("check_kdump", volumeId=VOLUME_ID, **given).result["findings"]
    return [finding["code"] for finding in findings]


def _commands(root: FakeRoot) -> str:
    if root.host.family == "suse":
        return root.read(PRESCRIPT)
    return next(line for line in root.read(DROP_IN).splitlines() if line.startswith("ExecStartPre=-"))


# --- triggers


@pytest.mark.parametrize("name", ["debian12", "sles15", "sles16"])
def test_no_trigger_ends_the_dump_and_a_panic_of_the_crash_kernel_reboots(tmp_path: Path, name: str) -> None:
    root = prepared_copy(name, tmp_path / "root")
    root.run("configure_kdump", **dict.fromkeys(TRIGGERS, "1"))
    commands = _commands(root)
    assert [trigger for trigger in TRIGGERS if f"echo 0 >/proc/sys/kernel/{trigger};" not in commands] == []
    assert "echo 10 >/proc/sys/kernel/panic" in commands


def test_triggers_are_reset_in_the_crash_kernel_only(root: FakeRoot) -> None:
    root.run("configure_kdump")
    before = _commands(root).split("echo 0")[0]
    assert before.endswith("'test ! -s /proc/vmcore || { sysctl -q -p /etc/kdump/sysctl.conf; ")


def test_sysctl_d_of_the_host_takes_no_memory_of_the_crash_kernel(root: FakeRoot) -> None:
    """kdump-tools' own override is the first file instead of the last: find -maxdepth=1 is no option, so that its name,
    which should follow the last one's, is only -kdump.conf."""
    root.write("etc/sysctl.d/90-database.conf", "vm.nr_hugepages=2048\n")
    root.run("configure_kdump")
    assert "ConditionPathExists=!/proc/vmcore" in root.read(SYSCTL_DROP_IN).splitlines()


def test_host_that_was_configured_before_the_drop_in_stays_ready(armed_root: FakeRoot) -> None:
    (armed_root.path / SYSCTL_DROP_IN).unlink()
    assert _codes(armed_root) == []


# --- its own panic


@pytest.mark.parametrize(
    ("owners", "expected"),
    [
        (None, "reset_devices systemd.unit=kdump-tools-dump.service nr_cpus=1 irqpoll usbcore.nousb panic=10"),
        ("nr_cpus=2", "nr_cpus=2 systemd.unit=kdump-tools-dump.service panic=10"),
        ("nr_cpus=2 panic=0", "nr_cpus=2 panic=0 systemd.unit=kdump-tools-dump.service panic=10"),
        ("panic_print=3", "panic_print=3 systemd.unit=kdump-tools-dump.service panic=10"),
        ("nr_cpus=2 panic=30 quiet", "nr_cpus=2 panic=30 quiet systemd.unit=kdump-tools-dump.service"),
        ("systemd.unit=kdump.target panic=-1", "systemd.unit=kdump.target panic=-1"),
    ],
    ids=[
        "package-default",
        "owner",
        "owner-waits-for-ever",
        "another-argument",
        "owner-reboots",
        "owner-reboots-at-once",
    ],
)
def test_crash_kernel_that_fails_reboots_on_debian(root: FakeRoot, owners: str | None, expected: str) -> None:
    install_kdump(root)
    if owners is not None:
        root.write(CONFIGURATION, root.read(CONFIGURATION) + f'KDUMP_CMDLINE_APPEND="{owners}"\n')
    root.run("configure_kdump")
    lines = [line for line in root.read(CONFIGURATION).splitlines() if line.startswith("KDUMP_CMDLINE_APPEND=")]
    assert lines == [f'KDUMP_CMDLINE_APPEND="{expected}"']
    assert root.run("configure_kdump").result["changes"] == []


def test_crash_kernel_that_was_loaded_without_it_is_loaded_again(armed_root: FakeRoot) -> None:
    replace(armed_root, CONFIGURATION, " panic=10", "")
    before = len(armed_root.called("systemctl"))
    assert armed_root.run("configure_kdump").result["changes"] == ["/etc/default/kdump-tools"]
    assert "systemctl restart kdump-tools.service" in armed_root.called("systemctl")[before:]


def test_crash_kernel_that_fails_reboots_on_the_rhel_like_family(armed: Armed) -> None:
    root = armed("rhel9")
    replace(root, "etc/sysconfig/kdump", " panic=10", "")
    assert "crash initramfs" in root.run("configure_kdump").result["changes"]
    assert 'hugetlb_cma=0 panic=10"' in root.read("etc/sysconfig/kdump")


# --- SUSE's scripts


@pytest.fixture(params=["sles15", "sles16"])
def sles(request: pytest.FixtureRequest, tmp_path: Path) -> FakeRoot:
    """Either release."""
    return prepared_copy(request.param, tmp_path / "root")


def test_scripts_are_programs_within_the_initrd_which_every_kdump_can_run(sles: FakeRoot) -> None:
    sles.run("configure_kdump", finalAction="poweroff")
    found = settings(sles)
    assert (found["KDUMP_PRESCRIPT"], found["KDUMP_POSTSCRIPT"]) == (PRESCRIPT, POSTSCRIPT)
    assert {PRESCRIPT, POSTSCRIPT, "poweroff"} == set(found["KDUMP_REQUIRED_PROGRAMS"].split())
    initrd = sles.read(INITRDS[sles.host.name])
    assert sles.read(PRESCRIPT) in initrd
    assert sles.read(POSTSCRIPT) in initrd
    assert sles.read(POSTSCRIPT).splitlines()[-1] == OLD_POSTSCRIPT
    assert sles.run("configure_kdump", finalAction="poweroff").result["changes"] == []


def test_post_script_goes_when_the_instance_shall_reboot(sles: FakeRoot) -> None:
    sles.run("configure_kdump", finalAction="poweroff")
    sles.run("configure_kdump")
    assert settings(sles)["KDUMP_POSTSCRIPT"] == ""
    assert POSTSCRIPT not in settings(sles)["KDUMP_REQUIRED_PROGRAMS"]
    assert not (sles.path / POSTSCRIPT.removeprefix("/")).exists()


@pytest.mark.parametrize("owners", ['"/usr/bin/tell $HOME"', "'/usr/bin/tell $HOME'", "/usr/bin/tell"])
@pytest.mark.parametrize("appended", ["", f"; {OLD_POSTSCRIPT}"], ids=["fresh", "from-an-earlier-version"])
def test_commands_of_the_owner_run_before_ours_and_come_back(sles: FakeRoot, owners: str, appended: str) -> None:
    sles.run("configure_kdump")
    quote = owners[0] if owners[0] in "\"'" else ""
    if appended and not quote:
        pytest.skip("a list has quotes")
    written = f"{owners.removesuffix(quote) if quote else owners}{appended}{quote}"
    replace(sles, SUSE, 'KDUMP_POSTSCRIPT=""', f"KDUMP_POSTSCRIPT={written}")
    for _ in range(2):
        sles.run("configure_kdump", finalAction="poweroff")
        assert sles.read(POSTSCRIPT).splitlines()[2:] == [
            f"KDUMP_POSTSCRIPT={owners}",
            'eval "$KDUMP_POSTSCRIPT"',
            OLD_POSTSCRIPT,
        ]
    sles.run("configure_kdump")
    assert f"KDUMP_POSTSCRIPT={owners}\n" in sles.read(SUSE)


@pytest.mark.parametrize("written", ['export KDUMP_PRESCRIPT="/root/before"', "\tKDUMP_PRESCRIPT='/root/before'"])
def test_program_of_the_owner_runs_however_it_is_written(sles: FakeRoot, written: str) -> None:
    sles.run("configure_kdump")
    replace(sles, SUSE, f'KDUMP_PRESCRIPT="{PRESCRIPT}"', written)
    sles.run("configure_kdump")
    assert sles.read(PRESCRIPT).splitlines()[2] == f"KDUMP_PRESCRIPT={written.partition('=')[2]}"


@pytest.mark.parametrize("quote", ["'", ""])
def test_script_that_a_tool_wrote_in_other_quotes_does_not_call_itself(sles: FakeRoot, quote: str) -> None:
    sles.run("configure_kdump")
    replace(sles, SUSE, f'KDUMP_PRESCRIPT="{PRESCRIPT}"', f"KDUMP_PRESCRIPT={quote}{PRESCRIPT}{quote}")
    sles.run("configure_kdump")
    assert "eval" not in sles.read(PRESCRIPT)


def test_what_an_earlier_version_wrote_is_replaced(sles: FakeRoot) -> None:
    sles.run("configure_kdump")
    replace(sles, SUSE, f'KDUMP_PRESCRIPT="{PRESCRIPT}"', f'KDUMP_PRESCRIPT="{OLD_PRESCRIPT}"')
    sles.run("configure_kdump")
    assert settings(sles)["KDUMP_PRESCRIPT"] == PRESCRIPT
    assert "eval" not in sles.read(PRESCRIPT)


def test_poweroff_that_this_kdump_does_not_run_is_found(armed: Armed) -> None:
    """SLES 15 SP6 and SP7: umount gets "-a;" and the rest as its arguments; the instance reboots."""
    root = armed("sles15")
    replace(root, SUSE, 'KDUMP_POSTSCRIPT=""', f'KDUMP_POSTSCRIPT="{OLD_POSTSCRIPT}"')
    root.command("mkdumprd", "-f")
    assert _codes(root, finalAction="poweroff") == []
    root.write("usr/lib/dracut/modules.d/99kdump/kdump-save", WITHOUT_SHELL)
    assert _codes(root, finalAction="poweroff") == ["final-action"]
    root.run("configure_kdump", finalAction="poweroff")
    assert _codes(root, finalAction="poweroff") == []


def test_poweroff_of_the_owner_is_named(armed: Armed) -> None:
    root = armed("sles16")
    replace(root, SUSE, 'KDUMP_POSTSCRIPT=""', 'KDUMP_POSTSCRIPT="/sbin/poweroff -f"')
    root.run("configure_kdump")
    findings = root.run("check_kdump", volumeId=VOLUME_ID, finalAction="reboot").result["findings"]
    assert [finding["code"] for finding in findings] == ["final-action"]
    assert "KDUMP_POSTSCRIPT='/sbin/poweroff -f'" in findings[0]["remedy"]
