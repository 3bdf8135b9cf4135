"""crashkernel= on the RHEL-like family: boot loader entries and grubby, or /etc/default/grub and grub2-mkconfig."""

import re
from pathlib import Path

import pytest

from tests.ssm_documents.fake_root import MIB, VOLUME_ID, FakeRoot
from tests.ssm_documents.ledger import originals
from tests.ssm_documents.ready_host import prepared_copy
from tests.ssm_documents.spoiling import replace

DEFAULTS = "etc/default/grub"
AMZN2_ARGUMENTS = (
    "console=tty0 console=ttyS0,115200n8 net.ifnames=0 biosdevname=0 nvme_core.io_timeout=4294967295"
    " rd.emergency=poweroff rd.shell=0"
)


def _entry(root: FakeRoot) -> str:
    (file,) = root.path.glob(root.host.boot_entries)
    return str(file.relative_to(root.path))


def _options(root: FakeRoot) -> str:
    return next(line for line in root.read(_entry(root)).splitlines() if line.startswith("options "))


def _crashkernels(text: str) -> list[str]:
    return [word.strip('"') for word in text.split() if "crashkernel=" in word]


# --- where it is written


def test_amazon_linux_2_gets_its_default_line_edited_and_grub_cfg_made_anew(tmp_path: Path) -> None:
    root = prepared_copy("amzn2", tmp_path / "root")
    before = root.read(DEFAULTS)
    assert root.run("configure_kdump", crashkernel="160M").result["status"] == "reboot-required"
    assert before.splitlines()[0] == f'GRUB_CMDLINE_LINUX_DEFAULT="{AMZN2_ARGUMENTS}"'
    first, *rest = root.read(DEFAULTS).splitlines()
    assert first == f'GRUB_CMDLINE_LINUX_DEFAULT="{AMZN2_ARGUMENTS} crashkernel=160M"'
    assert rest == before.splitlines()[1:]
    assert f"{AMZN2_ARGUMENTS} crashkernel=160M\n" in root.read("boot/grub2/grub.cfg")


def test_amazon_linux_2023_gets_the_boot_loader_entry_and_the_default_line(tmp_path: Path) -> None:
    root = prepared_copy("amzn2023", tmp_path / "root")
    before = _options(root)
    root.run("configure_kdump", crashkernel="256M")
    assert _options(root) == f"{before} crashkernel=256M"
    assert 'quiet crashkernel=256M"\n' in root.read(DEFAULTS)
    assert not root.called("grub2-mkconfig")


def test_entries_that_share_kernelopts_get_it_there(tmp_path: Path) -> None:
    root = prepared_copy("rhel8", tmp_path / "root")
    root.run("configure_kdump", crashkernel="256M")
    assert _options(root) == "options $kernelopts $tuned_params"
    assert _crashkernels(root.read("boot/grub2/grubenv")) == ["crashkernel=256M"]
    assert _crashkernels(root.next_cmdline()) == ["crashkernel=256M"]


def test_kernels_that_are_installed_later_get_it_too(tmp_path: Path) -> None:
    root = prepared_copy("rhel9", tmp_path / "root")
    before = root.read("etc/kernel/cmdline").strip()
    root.run("configure_kdump", crashkernel="256M")
    assert root.read("etc/kernel/cmdline") == f"{before} crashkernel=256M\n"


@pytest.mark.parametrize("name", ["amzn2", "rhel9"])
def test_value_that_is_too_small_is_replaced_everywhere(tmp_path: Path, name: str) -> None:
    root = prepared_copy(name, tmp_path / "root")
    old = root.next_cmdline()
    for path in (_entry(root), DEFAULTS):
        replace(root, path, "nvme_core.io_timeout", "crashkernel=64M nvme_core.io_timeout")
    root.boot(cmdline=root.next_cmdline(), reserved_mib=64)
    assert root.run("configure_kdump", crashkernel="256M").result["status"] == "reboot-required"
    for path in (_entry(root), DEFAULTS):
        assert _crashkernels(root.read(path)) == ["crashkernel=256M"]
        assert "crashkernel=64M" in (originals(root)[path] or "")
    assert set(root.next_cmdline().split()) == {*old.split(), "crashkernel=256M"}


@pytest.mark.parametrize(
    ("written", "edited"),
    [
        ('GRUB_CMDLINE_LINUX=""', 'GRUB_CMDLINE_LINUX="crashkernel=256M"'),
        ("GRUB_CMDLINE_LINUX='a b'", "GRUB_CMDLINE_LINUX='a b crashkernel=256M'"),
        (
            "GRUB_CMDLINE_LINUX=quiet",
            'GRUB_CMDLINE_LINUX=quiet\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX crashkernel=256M"',
        ),
        (
            'GRUB_CMDLINE_LINUX="a" # ours',
            'GRUB_CMDLINE_LINUX="a" # ours\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX crashkernel=256M"',
        ),
        (
            'GRUB_CMDLINE_LINUX="a" # "b"',
            'GRUB_CMDLINE_LINUX="a" # "b"\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX crashkernel=256M"',
        ),
        (
            'GRUB_CMDLINE_LINUX="$(test -d / && echo crashkernel=1M) a"',
            'GRUB_CMDLINE_LINUX="$(test -d / && echo) a crashkernel=256M"',
        ),
        ("GRUB_TIMEOUT=1", 'GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX crashkernel=256M"'),
        (
            'GRUB_CMDLINE_LINUX="crashkernel=1M"\nGRUB_CMDLINE_LINUX_DEFAULT="a"',
            'GRUB_CMDLINE_LINUX=""\nGRUB_CMDLINE_LINUX_DEFAULT="a crashkernel=256M"',
        ),
    ],
    ids=[
        "empty",
        "single-quotes",
        "no-quotes",
        "comment-after-it",
        "quotes-after-it",
        "substitution",
        "no-line",
        "both-lines",
    ],
)
def test_default_line_is_edited_however_it_is_written(tmp_path: Path, written: str, edited: str) -> None:
    root = prepared_copy("amzn2", tmp_path / "root")
    root.write("proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz ro\n")
    root.write(DEFAULTS, written + "\n")
    root.run("configure_kdump", crashkernel="256M")
    assert root.read(DEFAULTS) == edited + "\n"
    assert _crashkernels(root.next_cmdline()) == ["crashkernel=256M"]


# --- which boot loader


def test_uefi_host_gets_the_grub_cfg_that_its_firmware_reads(tmp_path: Path) -> None:
    root = prepared_copy("amzn2", tmp_path / "root")
    root.write("sys/firmware/efi/fw_platform_size", "64\n")
    root.write("boot/efi/EFI/amzn/grub.cfg", root.read("boot/grub2/grub.cfg").replace("linux16", "linuxefi"))
    before = root.read("boot/grub2/grub.cfg")
    root.run("configure_kdump", crashkernel="256M")
    assert _crashkernels(root.read("boot/efi/EFI/amzn/grub.cfg")) == ["crashkernel=256M"]
    assert root.read("boot/grub2/grub.cfg") == before


def test_wrapper_on_the_efi_partition_is_left_alone(tmp_path: Path) -> None:
    root = prepared_copy("amzn2", tmp_path / "root")
    root.write("sys/firmware/efi/fw_platform_size", "64\n")
    wrapper = root.write("boot/efi/EFI/amzn/grub.cfg", "set prefix=($dev)/boot/grub2\nconfigfile $prefix/grub.cfg\n")
    before = wrapper.read_text()
    root.run("configure_kdump", crashkernel="256M")
    assert wrapper.read_text() == before
    assert _crashkernels(root.read("boot/grub2/grub.cfg")) == ["crashkernel=256M"]


def test_entries_that_grub_is_told_not_to_read_do_not_count(tmp_path: Path) -> None:
    root = prepared_copy("amzn2", tmp_path / "root")
    root.write("boot/loader/entries/old.conf", "options root=/dev/sda ro crashkernel=256M\n")
    root.write(DEFAULTS, root.read(DEFAULTS) + "GRUB_ENABLE_BLSCFG=false\n")
    root.run("configure_kdump", crashkernel="256M")
    assert not root.called("grubby")
    assert _crashkernels(root.read("boot/grub2/grub.cfg")) == ["crashkernel=256M"]


LINES_OF_OWNER = [
    'GRUB_CMDLINE_LINUX_DEFAULT="rhgb quiet"',
    "GRUB_CMDLINE_LINUX_RECOVERY='single'",
    'GRUB_CMDLINE_LINUX_XEN_REPLACE="dom0"',
]


@pytest.mark.parametrize("name", ["rhel8", "rhel9", "rhel10", "amzn2023"])
def test_owners_lines_that_begin_like_grubbys_survive(tmp_path: Path, name: str) -> None:
    root = prepared_copy(name, tmp_path / "root")
    words = "console=ttyS0 nvme_core.io_timeout=4294967295"
    root.write(DEFAULTS, "\n".join([f'GRUB_CMDLINE_LINUX="{words} crashkernel=64M"', *LINES_OF_OWNER, ""]))
    for _ in range(2):
        root.run("configure_kdump", crashkernel="256M")
        assert root.read(DEFAULTS).splitlines() == [
            f'GRUB_CMDLINE_LINUX="{words}"',
            'GRUB_CMDLINE_LINUX_DEFAULT="rhgb quiet crashkernel=256M"',
            *LINES_OF_OWNER[1:],
        ]


def test_defaults_are_put_back_when_grubby_fails(tmp_path: Path) -> None:
    root = prepared_copy("rhel9", tmp_path / "root")
    before = root.read(DEFAULTS)
    spoiling = "#!/bin/bash\n[[ $1 == --info=* ]] || { echo >$HOST_ROOT/etc/default/grub; exit 1; }\n"
    root.write("bin/grubby", spoiling).chmod(0o755)
    run = root.run_on_path(f"{root.path}/bin:{root.search_path()}", "configure_kdump", crashkernel="256M")
    assert "grubby failed" in run.stdout
    assert root.read(DEFAULTS) == before


@pytest.mark.parametrize("name", ["rhel8", "rhel9", "rhel10", "amzn2023"])
@pytest.mark.parametrize(
    "saved", ["0123456789abcdef0123456789abcdef-4.0.0-gone", "7", ""], ids=["gone", "index", "empty"]
)
def test_default_entry_that_is_gone_is_the_first_one_as_for_grub(tmp_path: Path, name: str, saved: str) -> None:
    root = prepared_copy(name, tmp_path / "root")
    environment = root.read("boot/grub2/grubenv")
    root.write("boot/grub2/grubenv", re.sub("saved_entry=.*", f"saved_entry={saved}", environment))
    assert root.run("configure_kdump", crashkernel="256M").result["status"] == "reboot-required"
    root.reboot()
    assert root.run("configure_kdump", crashkernel="256M").result["status"] == "unchanged"
    assert root.run("check_kdump", volumeId=VOLUME_ID).result["ready"] is True


def test_argument_that_only_grub_cfg_has_is_not_dropped_silently(tmp_path: Path) -> None:
    root = prepared_copy("amzn2", tmp_path / "root")
    replace(root, "boot/grub2/grub.cfg", " ro ", " ro ipv6.disable=1 audit=1 ")
    root.boot(cmdline=root.next_cmdline(), reserved_mib=0)
    before = [root.read(path) for path in ("boot/grub2/grub.cfg", DEFAULTS)]
    run = root.run("configure_kdump", reboot="true")
    assert run.error == "ConfigurationFailed"
    assert "would drop 'ipv6.disable audit'" in run.stdout
    assert [root.read(path) for path in ("boot/grub2/grub.cfg", DEFAULTS)] == before


def test_kernel_that_only_grub_cfg_chooses_is_not_dropped_silently(tmp_path: Path) -> None:
    """`grubby --set-default` of an older kernel, which its owner wants to boot."""
    root = prepared_copy("amzn2", tmp_path / "root")
    root.write("boot/grub2/grub.cfg", 'set default="1"\n' + root.read("boot/grub2/grub.cfg"))
    before = [root.read(path) for path in ("boot/grub2/grub.cfg", DEFAULTS)]
    run = root.run("configure_kdump", reboot="true")
    assert run.error == "ConfigurationFailed"
    assert "would drop 'default'" in run.stdout
    assert [root.read(path) for path in ("boot/grub2/grub.cfg", DEFAULTS)] == before


@pytest.mark.parametrize("name", ["amzn2", "rhel7"])
@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ('systemd.setenv="DB_PASSWORD=correct horse battery"', "systemd.setenv"),
        ('"systemd.setenv=DB_PASSWORD=correct horse battery"', "systemd.setenv"),
        ('"DB_PASSWORD correct horse battery"', "DB_PASSWORD"),
        ('DB_PASSWORD="correct horse battery', "DB_PASSWORD"),
    ],
    ids=["quoted-value", "quoted-argument", "no-value", "no-end"],
)
def test_only_the_name_of_a_lost_argument_is_told(tmp_path: Path, name: str, argument: str, named: str) -> None:
    root = prepared_copy(name, tmp_path / "root")
    root.boot(cmdline=f"{root.next_cmdline()} {argument}", reserved_mib=0)
    run = root.run("configure_kdump", reboot="true")
    assert run.error == "ConfigurationFailed"
    assert f"would drop '{named}'" in run.stdout
    assert not re.search("correct|horse|battery", run.stdout + run.stderr)


def test_argument_that_grub_quotes_in_its_own_way_is_not_lost(tmp_path: Path) -> None:
    root = prepared_copy("amzn2", tmp_path / "root")
    replace(root, DEFAULTS, 'GRUB_CMDLINE_LINUX_DEFAULT="', 'GRUB_CMDLINE_LINUX_DEFAULT="systemd.setenv=\\"A=b c\\" ')
    root.boot(cmdline=f'{root.next_cmdline()} "systemd.setenv=A=b c"', reserved_mib=0)
    assert root.run("configure_kdump").result["status"] == "reboot-required"


@pytest.mark.parametrize("name", ["amzn2", "rhel7"])
@pytest.mark.parametrize(
    "words",
    [
        "LANG=en_US.UTF-8",
        "LANG=en_US.UTF-8 KEYTABLE=us",
        "SYSFONT=True SYSFONTACM=iso01 UNIMAP=x LANG=de_DE.UTF-8 KEYTABLE=de-latin1 KEYBOARDTYPE=sun",
        'rd.vconsole.keymap="us" rd.locale.LANG="en_US.UTF-8" vconsole.font=latarcyrheb-sun16',
    ],
)
def test_language_and_keyboard_that_a_kernel_update_adds_are_no_obstacle(tmp_path: Path, name: str, words: str) -> None:
    root = prepared_copy(name, tmp_path / "root")
    old = root.next_cmdline()
    grub_cfg = root.read("boot/grub2/grub.cfg").splitlines()
    updated = [f"{line} {words}" if line.lstrip().startswith("linux") else line for line in grub_cfg]
    root.write("boot/grub2/grub.cfg", "\n".join(updated) + "\n")
    root.boot(cmdline=root.next_cmdline(), reserved_mib=0)
    assert root.run("configure_kdump", crashkernel="256M").result["status"] == "reboot-required"
    kept = [word for word in old.split() if not word.startswith("crashkernel=")]
    assert sorted(root.next_cmdline().split()) == sorted([*kept, "crashkernel=256M"])


@pytest.mark.parametrize(
    ("name", "path", "words"),
    [("amzn2", "boot/grub2/broken", "grub2-mkconfig failed"), ("rhel9", "boot/loader/broken", "grubby failed")],
)
def test_boot_loader_tool_that_fails_is_named(tmp_path: Path, name: str, path: str, words: str) -> None:
    root = prepared_copy(name, tmp_path / "root")
    root.write(path, "")
    run = root.run("configure_kdump", reboot="true")
    assert (run.exit_code, run.error) == (1, "ConfigurationFailed")
    assert words in run.stdout


def test_pair_that_grubby_cannot_write_is_refused_with_advice(tmp_path: Path) -> None:
    run = prepared_copy("rhel9", tmp_path / "root").run("configure_kdump", crashkernel="300M,high 72M,low")
    assert run.error == "ConfigurationFailed"
    assert "give the high part only" in run.stdout


# --- how much


@pytest.mark.parametrize(
    ("name", "memory_mib", "page_size", "reserved_mib"),
    [
        ("amzn2", 985, 4096, 256),
        ("amzn2023", 128_000, 4096, 512),
        ("amzn2023-arm64", 7800, 4096, 320),
        ("amzn2023", 985, 4096, 192),
        ("amzn2023-arm64", 985, 4096, 256),
        ("rhel7", 7800, 4096, 256),
        ("rhel9", 985, 4096, 192),
        ("rhel10", 128_000, 4096, 512),
    ],
)
def test_reservation_by_memory(tmp_path: Path, name: str, memory_mib: int, page_size: int, reserved_mib: int) -> None:
    root = prepared_copy(name, tmp_path / "root")
    root.memory_mib = memory_mib
    root.boot(cmdline=root.next_cmdline(), reserved_mib=0)
    root.write("page-size", f"{page_size}\n")
    root.run("configure_kdump")
    root.reboot()
    assert root.read("sys/kernel/kexec_crash_size") == f"{reserved_mib * MIB}\n"


def test_pages_of_64_kib_take_more_where_kdumpctl_has_no_table(tmp_path: Path) -> None:
    root = prepared_copy("amzn2", tmp_path / "root")
    root.write("machine", "aarch64\n")
    root.write("page-size", "65536\n")
    root.run("configure_kdump")
    root.reboot()
    assert root.read("sys/kernel/kexec_crash_size") == f"{512 * MIB}\n"


def test_reservation_that_is_large_enough_is_left_alone_without_a_reboot(tmp_path: Path) -> None:
    """RHEL 8 as launched: crashkernel=auto has reserved what the table wants."""
    root = prepared_copy("rhel8", tmp_path / "root")
    root.boot(cmdline=root.next_cmdline(), reserved_mib=256)
    result = root.run("configure_kdump", reboot="true").result
    assert (result["status"], result["crashkernel"]) == ("configured", "auto")
    assert not [call for call in root.called("grubby") if "--update-kernel" in call]
    assert root.read("sys/kernel/kexec_crash_loaded") == "1\n"


def test_configuring_again_before_the_reboot_changes_nothing(tmp_path: Path) -> None:
    root = prepared_copy("rhel9", tmp_path / "root")
    root.run("configure_kdump")
    before = {path: text for path, text in root.tree().items() if "sysctl" not in path}
    result = root.run("configure_kdump").result
    assert (result["status"], result["changes"]) == ("reboot-required", [])
    assert {path: text for path, text in root.tree().items() if "sysctl" not in path} == before
