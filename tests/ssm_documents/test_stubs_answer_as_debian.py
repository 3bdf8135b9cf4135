"""The stubs of Debian's tools answer as the real tools do, in all that the documents rely on."""

import re
from collections.abc import Callable, Iterator

import pytest

from tests.ssm_documents.fake_root import FakeRoot
from tests.ssm_documents.real_root.host import RealRoot
from tests.ssm_documents.real_root.story import NEEDS_REAL_ROOT, Story, booted

pytestmark = NEEDS_REAL_ROOT
# Asked in a shell whose $HOST_ROOT is the host's root. Both hosts are ready, but for a masked kdump-tools-dump.service.
QUESTIONS = {
    "state-of-kdump": "kdump-config show 2>/dev/null | grep -E 'current state|suggested size'",
    "kexec-default": "kexec --help 2>&1 | grep -c 'kexec-syscall,.*compat'; kexec --help 2>&1 | grep -c '(default)'",
    "libraries-of-makedumpfile": "makedumpfile -v 2>&1 | grep -E '^(lzo|snappy|zstd)'",
    "version-of-makedumpfile": "makedumpfile -v 2>&1 | sed -n 's/^makedumpfile: version \\([0-9.]*[0-9]\\).*/\\1/p'",
    "initrd-that-is-missing": 'lsinitramfs "$HOST_ROOT/var/lib/kdump/none" 2>/dev/null',
    "enabled-unit": "systemctl is-enabled kdump-tools.service",
    "masked-unit": "systemctl is-enabled kdump-tools-dump.service",
    "unit-that-is-missing": "systemctl is-enabled none.service 2>/dev/null",
    "enabling-a-masked-unit": "systemctl enable kdump-tools-dump.service 2>/dev/null",
    "name-of-a-mount-unit": "systemd-escape --path --suffix=mount /var/crash",
    "name-of-a-mount-unit-with-a-dash": "systemd-escape --path --suffix=mount /srv/a-b/c.d",
    "signature-of-a-partition": "blkid -p -o export \"$HOST_ROOT/dev/nvme1n1p1\" | grep -E '^(TYPE|LABEL)=' | sort",
    "signature-of-a-disk": "blkid -p -o export \"$HOST_ROOT/dev/nvme1n1\" | grep -E '^(TYPE|PTTYPE)='",
    "signature-of-zeros": 'truncate -s 300M "$HOST_ROOT/zeros"; blkid -p -o export "$HOST_ROOT/zeros"',
    "xfs-over-a-file-system": 'mkfs.xfs -q -L HANGDUMP "$HOST_ROOT/dev/nvme1n1p1" >/dev/null 2>&1',
    "ext4-over-a-file-system": 'mkfs.ext4 -q -L HANGDUMP -m 0 "$HOST_ROOT/dev/nvme1n1p1" </dev/null >/dev/null 2>&1',
    "package-that-is-installed": "dpkg-query -W -f '${Status}' kdump-tools",
    "packages-that-are-installed": r"dpkg-query -W -f '${Status}\n' kdump-tools makedumpfile",
    "one-of-two-packages-is-missing": r"dpkg-query -W -f '${Status}\n' kdump-tools none 2>&1 | sort",
    "package-that-is-missing": "dpkg-query -W -f '${Status}' none 2>&1",
    "set-of-ubuntu": "apt-cache search --names-only '^linux-crashdump$'",
    "gpt-of-sfdisk": "sfdisk --help 2>&1 | grep -q -e --label",
    "sizes-of-df": "df -B1 --output=size,avail \"$HOST_ROOT/var/crash\" | wc -lw | tr -s ' '",
    "table-of-swaps": 'head -n 1 "$HOST_ROOT/proc/swaps" | wc -l',
}
DEFAULTS = "etc/default/grub"
LATER = "etc/default/grub.d/zz.cfg"
GRUB_DEFAULTS = {
    "owner-s-words": (DEFAULTS, 'GRUB_CMDLINE_LINUX_DEFAULT="quiet a=b"\nGRUB_CMDLINE_LINUX="console=ttyS0"\n'),
    "appended": (LATER, 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=1M"\n'),
    "set-anew": (LATER, 'GRUB_CMDLINE_LINUX_DEFAULT="crashkernel=64M"\n'),
    "in-recovery-too": (LATER, 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX crashkernel=64M"\n'),
}


@pytest.fixture(scope="module")
def real(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRoot]:
    """One for all questions, which change nothing that another asks for."""
    with booted(story.disks, tmp_path_factory.mktemp("real")) as root:
        root.set_unit("kdump-tools-dump.service", "masked")
        yield root


@pytest.fixture
def fake(armed: Callable[[str], FakeRoot]) -> FakeRoot:
    root = armed("debian12")
    root.set_unit("kdump-tools-dump.service", "masked")
    return root


@pytest.mark.parametrize("question", QUESTIONS)
def test_stub_answers_as_the_real_tool(real: RealRoot, fake: FakeRoot, question: str) -> None:
    expected, answered = (root.shell(QUESTIONS[question], check=False) for root in (real, fake))
    assert (answered.returncode, answered.stdout) == (expected.returncode, expected.stdout)


@pytest.mark.parametrize("case", GRUB_DEFAULTS)
def test_stub_of_update_grub_writes_the_arguments_of_the_real_one(real: RealRoot, fake: FakeRoot, case: str) -> None:
    def arguments(root: FakeRoot) -> set[tuple[str, ...]]:
        path, text = GRUB_DEFAULTS[case]
        # The same of all that either host had before.
        root.write(DEFAULTS, 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n')
        (root.path / LATER).unlink(missing_ok=True)
        root.write(path, text)
        root.shell("update-grub 2>/dev/null")
        (root.path / LATER).unlink(missing_ok=True)
        lines = re.findall(r"^\s*linux\s+\S+\s+root=\S+ (.*)", root.read("boot/grub/grub.cfg"), re.MULTILINE)
        return {tuple(line.split()) for line in lines}

    assert arguments(fake) == arguments(real)


def test_update_grub_fails_with_a_broken_file_of_defaults(real: RealRoot, fake: FakeRoot) -> None:
    for root in (real, fake):
        broken = root.write(LATER, 'GRUB_CMDLINE_LINUX="unfinished\n')
        assert root.shell("update-grub", check=False).returncode != 0
        broken.unlink()
