"""A host that was hardened as the CIS and STIG guides say becomes ready, and stays as hardened as it was."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ssm_documents.fake_root import VOLUME_ID, FakeRoot
from tests.ssm_documents.hosts import host
from tests.ssm_documents.ready_host import fresh_host

ARGUMENTS = "fips=1 audit=1 audit_backlog_limit=8192 vsyscall=none page_poison=1 pti=on"
SYSCTLS = """\
kernel.dmesg_restrict = 1
kernel.kptr_restrict = 1
kernel.sysrq = 0
kernel.core_pattern = |/bin/false
kernel.yama.ptrace_scope = 1
kernel.unprivileged_bpf_disabled = 1
kernel.panic_on_oops = 1
fs.suid_dumpable = 0
"""
MOUNTS = "".join(
    f"{number} 25 0:{number} / {point} rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw\n"
    for number, point in enumerate(("/tmp", "/var/tmp", "/dev/shm", "/var/log/audit"), start=80)
)
WITH_A_COMMAND_LINE = ("boot/**/*", "etc/default/grub", "etc/default/grub.d/*", "etc/kernel/cmdline")


def _harden(root: FakeRoot) -> None:
    for file in {file for pattern in WITH_A_COMMAND_LINE for file in root.path.glob(pattern) if file.is_file()}:
        file.write_text(file.read_text().replace("console=ttyS0", f"{ARGUMENTS} console=ttyS0"))
    assert ARGUMENTS in root.next_cmdline()
    root.boot(cmdline=root.next_cmdline(), reserved_mib=0)
    root.write("etc/sysctl.d/99-z-hardening.conf", SYSCTLS)
    root.write("proc/self/mountinfo", root.read("proc/self/mountinfo") + MOUNTS)


@pytest.fixture
def strict_umask() -> Iterator[None]:
    """As login.defs and the agent's unit may set it."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.slow
@pytest.mark.usefixtures("strict_umask")
@pytest.mark.parametrize("name", ["debian12", "ubuntu2404", "rhel8", "rhel9", "amzn2", "amzn2023", "sles15", "sles16"])
def test_hardened_host_becomes_ready_and_keeps_its_hardening(name: str, tmp_path: Path) -> None:
    root = fresh_host(host(name), tmp_path / "root")
    _harden(root)
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    assert root.run("configure_kdump", reboot="true").exit_code == 194
    assert [word for word in root.next_cmdline().split() if word in ARGUMENTS.split()] == ARGUMENTS.split()
    root.reboot()
    assert root.run("configure_kdump", reboot="true").result["status"] == "configured"
    result = root.run("check_kdump", volumeId=VOLUME_ID).result
    assert (result["ready"], [each["code"] for each in result["findings"]]) == (True, list(root.host.findings))
    assert root.read("etc/sysctl.d/99-z-hardening.conf") == SYSCTLS
    assert (root.path / "etc/sysctl.d/99-kernel_panic.conf").stat().st_mode & 0o777 == 0o644
