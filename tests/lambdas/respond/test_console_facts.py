"""What the console tells of the last boot, on consoles as EC2 keeps them."""

from datetime import UTC, datetime

import pytest

from lambdas.respond.complaints import Complaint
from lambdas.respond.console_facts import ConsoleFacts, Ready, has_text, read_console_facts
from tests.lambdas.consoles import ARM_BEFORE, ARM_CRASH_KERNEL

BANNER = "[    0.000000] Linux version {} (builder@host) (gcc 12.2.0) #1 SMP\n"
COMMAND_LINE = "[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz root=/dev/nvme0n1p1 crashkernel=256M\n"
CRASH_COMMAND_LINE = "[    0.000000] Command line: root=/dev/nvme0n1p1 irqpoll nr_cpus=1 elfcorehdr=0x3c000000\n"
# As Amazon Linux 2 and Ubuntu print them.
STARTED = "Cloud-init v. 19.3-46.amzn2 running 'init-local' at Thu, 26 Nov 2026 08:38:02 +0000. Up 4.03 seconds.\n"
FINISHED = (
    "[   14.2] cloud-init[830]: Cloud-init v. 24.1.3-0ubuntu3 finished at Thu, 26 Nov 2026 08:38:14 +0000. "
    "Datasource DataSourceEc2Local.  Up 16.93 seconds\n"
)
BOOTED = int(datetime(2026, 11, 26, 8, 37, 58, tzinfo=UTC).timestamp())
BOOT = BANNER.format("6.1.0-28-cloud-amd64") + COMMAND_LINE + STARTED + FINISHED
LONG_AFTER = "[86400.100000] systemd[1]: Started a service that says much.\n" * 3
KERNEL = "6.1.0-28-cloud-amd64"


@pytest.mark.parametrize(
    ("console", "facts"),
    [
        pytest.param("", ConsoleFacts(), id="empty"),
        pytest.param(LONG_AFTER, ConsoleFacts(), id="boot-scrolled-away"),
        pytest.param(BOOT + LONG_AFTER, ConsoleFacts(booted_epoch=BOOTED, kernel=KERNEL), id="dated"),
        pytest.param(
            BANNER.format("5.10.0") + COMMAND_LINE + BOOT,
            ConsoleFacts(booted_epoch=BOOTED, kernel=KERNEL),
            id="last-boot",
        ),
        pytest.param(FINISHED + LONG_AFTER, ConsoleFacts(booted_epoch=BOOTED), id="banner-scrolled-away"),
        pytest.param(
            BANNER.format(KERNEL) + COMMAND_LINE + LONG_AFTER, ConsoleFacts(kernel=KERNEL), id="host-without-cloud-init"
        ),
        pytest.param(
            BOOT + BANNER.format("6.1.0-31") + COMMAND_LINE,
            ConsoleFacts(booted_epoch=BOOTED, kernel="6.1.0-31", is_booting=True),
            id="boots-again",
        ),
        pytest.param(
            BOOT + BANNER.format(KERNEL) + CRASH_COMMAND_LINE,
            ConsoleFacts(booted_epoch=BOOTED, kernel=KERNEL, is_crash_kernel=True),
            id="in-the-crash-kernel",
        ),
        pytest.param(
            BANNER.format(KERNEL) + CRASH_COMMAND_LINE + BOOT,
            ConsoleFacts(booted_epoch=BOOTED, kernel=KERNEL),
            id="back-after-a-dump",
        ),
        pytest.param(STARTED.replace("26 Nov", "31 Feb"), ConsoleFacts(), id="no-such-day"),
        pytest.param(STARTED.replace("2026", "9999"), ConsoleFacts(), id="no-boot-of-today"),
    ],
)
def test_reads_the_last_boot(console: str, facts: ConsoleFacts) -> None:
    assert read_console_facts(console) == facts


GRUB = "\x1b[0m\x1b[2J  Booting `Debian GNU/Linux'\n\n"
FSCK = "[    4.100000] systemd-fsck[300]: /dev/nvme0n1p1: checking\n"
OLD = "[86399.000000] app: it works\n" * 900
FIRMWARE = "\x1b[2J\x1b[01;01H\x1b[=3h"


@pytest.mark.parametrize(
    ("console", "is_booting"),
    [
        pytest.param(OLD + GRUB + BANNER.format(KERNEL) + COMMAND_LINE + FSCK, True, id="checks-a-file-system"),
        pytest.param(BANNER.format(KERNEL) + COMMAND_LINE, True, id="prints-its-banner"),
        pytest.param(OLD + GRUB, True, id="boot-loader"),
        pytest.param(OLD + FIRMWARE + "SeaBIOS (version 1.16.3)\r\n", True, id="firmware"),
        pytest.param(OLD + "GRUB loading.\r\nWelcome to GRUB!\r\n", True, id="boot-loader-that-waits"),
        pytest.param(OLD + "[    0.059000] RETBleed: WARNING\n" + FSCK, True, id="quiet-and-time-begins-anew"),
        pytest.param("[    0.059000] RETBleed: WARNING\n" + FSCK, True, id="time-begins"),
        pytest.param(OLD + "[86400.000000] reboot: Restarting system\n" + FIRMWARE, True, id="restarts"),
        pytest.param(OLD + "[86400.000000] Restarting system.\n", True, id="restarts-an-old-kernel"),
        pytest.param(OLD + "[86400.000000] kexec_core: Starting new kernel\n", True, id="kexec"),
        pytest.param(OLD + GRUB + FSCK + "[ 1800.000000] dracut: upgrades packages\n", True, id="upgrades-for-long"),
        pytest.param("host login: root\n" + GRUB + FSCK, True, id="login-of-a-boot-before"),
        pytest.param(BOOT + GRUB + FSCK + "host login: ", True, id="login-that-may-be-of-a-boot-before"),
        pytest.param(OLD + GRUB + FSCK + "\r\nhost login: ", False, id="login"),
        pytest.param(OLD + GRUB + FSCK + "host login: [   60.000000] audit: x\n", False, id="text-behind-the-login"),
        pytest.param(OLD + GRUB + FSCK + STARTED, False, id="dated"),
        pytest.param(OLD + GRUB + FSCK + "[ 3601.000000] app: it works\n", False, id="an-hour-later"),
        pytest.param(OLD, False, id="no-boot-on-the-console"),
        pytest.param(OLD + "app: dmesg says: [    0.000000] x\n", False, id="quotes-a-kernel-that-boots"),
        pytest.param(CRASH_COMMAND_LINE + "[   60.000000] reboot: Restarting system\n", False, id="dump-has-ended"),
    ],
)
def test_a_boot_is_under_way_until_something_shows_its_end(console: str, is_booting: bool) -> None:
    assert read_console_facts(console).is_booting is is_booting


@pytest.mark.parametrize("console", ["", "\r\n \x00\n", FIRMWARE, "\x1b[31m\x1b(B"])
def test_a_console_without_text_says_nothing(console: str) -> None:
    assert not has_text(console)
    assert has_text(console + "x")


# Amazon Linux 2023 boots with `quiet`: no banner, but its crash kernel has one.
QUIET_KERNEL = "6.12.79-101.147.amzn2023.x86_64"
LOGIN = f"Kernel {QUIET_KERNEL} on an x86_64 (-)\n"
QUIET_BOOT = (
    f"\x1b[?25lBooting `Amazon Linux ({QUIET_KERNEL}) 2023'\n"
    "[    0.059123] RETBleed: WARNING: Spectre v2 mitigation leaves CPU vulnerable\n"
    + STARTED
    + f"Amazon Linux 2023\n{LOGIN}\nip-10-0-0-1 login: "
)
CRASH_BOOT = BANNER.format(QUIET_KERNEL) + CRASH_COMMAND_LINE
PROGRESS = "Copying data                                      : [ 45.3 %] -           eta: 3s\r\n"
PANIC = "[ 1234.567890] Kernel panic - not syncing: NMI: Not continuing\n"


@pytest.mark.parametrize(
    ("console", "is_crash_kernel"),
    [
        pytest.param(QUIET_BOOT + PANIC + CRASH_BOOT, True, id="boots-the-crash-kernel"),
        pytest.param(QUIET_BOOT + PANIC, True, id="has-panicked"),
        pytest.param(ARM_BEFORE + ARM_CRASH_KERNEL, True, id="boots-the-crash-kernel-of-arm64"),
        pytest.param(ARM_CRASH_KERNEL + ARM_BEFORE, False, id="boot-after-the-dump-of-arm64"),
        pytest.param(PROGRESS * 900, True, id="progress-has-pushed-out-the-banner"),
        pytest.param(QUIET_BOOT + PROGRESS, True, id="quiet-crash-kernel-dumps"),
        pytest.param(CRASH_BOOT + PROGRESS + QUIET_BOOT, False, id="quiet-boot-after-the-dump"),
        pytest.param(CRASH_BOOT + PROGRESS + FINISHED, False, id="dated-line-after-the-dump"),
        pytest.param(CRASH_BOOT + PROGRESS + LOGIN, False, id="login-after-the-dump"),
        pytest.param(PROGRESS + BANNER.format(KERNEL) + COMMAND_LINE, False, id="boot-after-the-dump"),
        pytest.param(
            CRASH_BOOT + "[   60.000000] kdump: saving vmcore complete\n[    0.059000] RETBleed: WARNING\n",
            False,
            id="kernel-time-begins-anew",
        ),
        pytest.param("[    5.0] login: a user says: Kernel panic\n", False, id="no-line-of-the-kernel"),
        pytest.param(CRASH_BOOT + PROGRESS + "ip login: [   30.0] audit: x\n", False, id="text-behind-the-login"),
        pytest.param(PROGRESS + "\x1b[0mip login: root\n", False, id="a-user-logs-in-after-the-dump"),
        pytest.param(PROGRESS + "[   60.000000] reboot: Restarting system\n", True, id="dump-has-just-ended"),
        pytest.param(QUIET_BOOT + "\x1b[0m" + PANIC, True, id="panics-behind-the-login"),
    ],
)
def test_a_crash_kernel_is_current_until_something_of_a_later_boot_follows(console: str, is_crash_kernel: bool) -> None:
    assert read_console_facts(console).is_crash_kernel is is_crash_kernel


def test_the_kernel_of_a_quiet_boot_is_known_by_its_boot_loader_and_its_login() -> None:
    facts = read_console_facts(CRASH_BOOT + PROGRESS + QUIET_BOOT)
    assert (facts.kernel, facts.booted_epoch, facts.is_booting) == (QUIET_KERNEL, BOOTED, False)
    debian = "Booting `Debian GNU/Linux, with Linux 6.1.0-28-cloud-amd64'\n"
    assert read_console_facts(debian).kernel == KERNEL


READY_LINE = f"hangdump-ready boot=00000000-0000-4000-8000-000000000001 kernel={KERNEL} config=0123456789abcdef\n"


def test_the_last_boot_says_itself_that_kdump_is_loaded() -> None:
    ready = Ready(KERNEL, "0123456789abcdef")
    assert read_console_facts(BOOT + READY_LINE + LONG_AFTER).ready == ready
    assert read_console_facts(BOOT + READY_LINE + BOOT).ready is None
    # A boot that no line dates has come this far all the same.
    facts = read_console_facts(BOOT + BANNER.format(KERNEL) + COMMAND_LINE + READY_LINE)
    assert (facts.ready, facts.is_booting) == (ready, False)


def test_the_ready_line_dates_a_boot_that_nothing_else_dates() -> None:
    """cloud-init writes to /dev/console, which is the screen where console=tty0 stands last."""
    boot = BANNER.format(KERNEL) + COMMAND_LINE
    facts = read_console_facts(boot + READY_LINE.replace("\n", " at=1795406400 up=25\n"))
    assert (facts.booted_epoch, facts.is_booting) == (1795406375, False)
    assert read_console_facts(boot + READY_LINE.replace("\n", " at=25 up=9999\n")).booted_epoch == 0


LOCKUP = "[  900.000000] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [x:1]\n"
HUNG = "[ 1021.000000] INFO: task jbd2/nvme0n1p1-8:300 blocked for more than 120 seconds.\n"


@pytest.mark.parametrize(
    ("console", "complaints"),
    [
        pytest.param(BOOT + LOCKUP + HUNG, (Complaint(900), Complaint(1021, "jbd2/nvme0n1p1-8:300", 120)), id="both"),
        pytest.param(LOCKUP + HUNG + BOOT, (), id="of-a-boot-before"),
        pytest.param("soft lockup says a user\n" * 9, (), id="no-words-of-the-kernel"),
        pytest.param("[   25.300000] x\nguest login: " + LOCKUP, (Complaint(900),), id="behind-the-login"),
        pytest.param("[   25.300000] x\n\x1b[0;1m" + LOCKUP, (Complaint(900),), id="behind-an-escape-sequence"),
        pytest.param("[   25.300000] x\nroot@host:~# " + LOCKUP, (Complaint(900),), id="behind-a-shell"),
        pytest.param("[   25.300000] x[  899.900000][    T7] y" + LOCKUP, (Complaint(900),), id="behind-another-cpu"),
        pytest.param(
            OLD + "app: dmesg says: [    0.000000] x\n" + LOCKUP.replace("  900", "86400"),
            (Complaint(86_400),),
            id="behind-a-log-of-the-boot",
        ),
    ],
)
def test_the_kernels_own_words_of_a_hang_keep_their_time(console: str, complaints: tuple[Complaint, ...]) -> None:
    assert read_console_facts(console).complaints == complaints


@pytest.mark.parametrize(
    "line",
    [
        "Cloud-init v. 1 finished at Fri, 27 Nov 2026 00:10:00 +0000. Up 999999999999 seconds\n",
        "Cloud-init v. 1 finished at Fri, 01 Jan 0001 00:10:00 +0000. Up 999999999 seconds\n",
        "Cloud-init v. 1 finished at Fri, 31 Dec 9999 23:59:59 +0000. Up 1 seconds\n",
        "Cloud-init v. 1 finished at Fri, 01 Jan 0000 00:10:00 +0000. Up 9 seconds\n",
        "Cloud-init v. 1 finished at Fri, 99 Nov 2026 00:10:00 +0000. Up 9 seconds\n",
        f"[{9 * '9'}.999999] Kernel command line: {'x' * 60_000}\n",
        "hangdump-ready boot=../../ kernel=6 config=zz\n",
        "Booting `" + "(" * 60_000,
        "\x00\x1b[31m\ud800" * 10_000,
    ],
)
def test_a_line_that_cannot_be_read_is_a_fact_that_is_missing(line: str) -> None:
    facts = read_console_facts(line * 3)
    assert (facts.booted_epoch, facts.kernel, facts.ready, facts.is_crash_kernel) == (0, "", None, False)


def test_a_console_made_to_hurt_takes_no_time() -> None:
    hostile = ("Cloud-init v. x running 'init' at Thu, 26 Nov 2026 08:38:02 +0000. " * 800)[:65_536]
    assert read_console_facts(hostile) == ConsoleFacts()
