"""What the console tells of the last boot, on consoles as EC2 keeps them."""

from datetime import UTC, datetime

import pytest

from lambdas.respond.console_facts import ConsoleFacts, read_console_facts

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
LONG_AFTER = "[86400.1] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [stress:4711]\n" * 3
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
    ],
)
def test_reads_the_last_boot(console: str, facts: ConsoleFacts) -> None:
    assert read_console_facts(console) == facts


def test_a_console_made_to_hurt_takes_no_time() -> None:
    hostile = ("Cloud-init v. x running 'init' at Thu, 26 Nov 2026 08:38:02 +0000. " * 800)[:65_536]
    assert read_console_facts(hostile) == ConsoleFacts()
