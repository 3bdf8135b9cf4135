"""Which commands bring the debuginfo, distribution by distribution."""

from pathlib import Path

import pytest

from analysis.debuginfo import read_os_release
from analysis.debuginfo_packages import family_of, install_steps
from tests.ssm_documents import hosts

HOSTS = Path(hosts.__file__).parent

_WANTED = {
    "amzn2": ("4.14.355-277.643.amzn2.x86_64", "debuginfo-install -y kernel-4.14.355-277.643.amzn2.x86_64"),
    "amzn2023": ("6.1.102-108.177.amzn2023.x86_64", "dnf debuginfo-install -y kernel-6.1.102-108.177.amzn2023.x86_64"),
    "rhel7": ("3.10.0-1160.el7.x86_64", "debuginfo-install -y kernel-3.10.0-1160.el7.x86_64"),
    "rhel9": ("5.14.0-427.13.1.el9_4.x86_64", "dnf debuginfo-install -y kernel-5.14.0-427.13.1.el9_4.x86_64"),
    "debian12": (
        "6.1.0-56-cloud-amd64",
        "apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends linux-image-6.1.0-56-cloud-amd64-dbg",
    ),
    "ubuntu2404": (
        "6.8.0-1021-aws",
        "apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends"
        " linux-image-unsigned-6.8.0-1021-aws-dbgsym",
    ),
    "sles15": (
        "5.14.21-150500.55.62-default",
        "zypper --non-interactive --plus-content debug install kernel-default-debuginfo-5.14.21-150500.55.62",
    ),
}


@pytest.mark.parametrize("host", sorted(_WANTED))
def test_the_last_command_installs_the_symbols_of_exactly_that_release(host: str) -> None:
    release, command = _WANTED[host]
    steps = install_steps(read_os_release(HOSTS / host), release)
    assert str(steps[-1]) == command


def test_ubuntu_is_told_of_its_archive_of_symbols_first() -> None:
    steps = install_steps({"ID": "ubuntu", "ID_LIKE": "debian", "VERSION_CODENAME": "noble"}, "6.8.0-1021-aws")
    (sources,) = [step.text for step in steps if step.text]
    assert sources.splitlines() == [
        "deb http://ddebs.ubuntu.com noble main restricted universe multiverse",
        "deb http://ddebs.ubuntu.com noble-updates main restricted universe multiverse",
    ]


def test_a_distribution_that_nobody_knows_gets_no_command() -> None:
    assert install_steps({"ID": "gentoo"}, "6.1.0") == []


def test_derivatives_are_of_the_family_they_name() -> None:
    assert family_of({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}) == "redhat"
    assert family_of({"ID": "kali", "ID_LIKE": "debian"}) == "debian"
    assert family_of({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}) == "ubuntu"


@pytest.mark.parametrize(
    "release", ["", "--reinstall", "6.1.0; reboot", "6.1.0 evil-package", "6.1.0\nevil", "../../x", "6" * 200]
)
def test_a_release_that_could_be_more_than_a_name_reaches_no_command(release: str) -> None:
    """It comes out of a vmcore, and the command runs as root."""
    assert install_steps({"ID": "debian"}, release) == []
