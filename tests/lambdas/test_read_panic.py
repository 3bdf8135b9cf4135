"""Why a kernel panicked, from its log."""

import pytest

from lambdas.conclude_incident.read_panic import Panic, read_panic

VERSION = "[    0.000000] Linux version 6.1.0-18-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP\n"
NMI = """\
[  812.345678] Uhhuh. NMI received for unknown reason 21 on CPU 0.
[  812.345690] Kernel panic - not syncing: NMI: Not continuing
[  812.345699] CPU: 0 PID: 777 Comm: spin Kdump: loaded Not tainted 6.1.0-18-cloud-amd64 #1  Debian 6.1.76-1
[  812.345710]  nmi_panic.cold+0xc/0xc
"""
OOPS = """\
[   99.100000] BUG: kernel NULL pointer dereference, address: 0000000000000010
[   99.100010] #PF: supervisor write access in kernel mode
[   99.100020] Oops: 0002 [#1] PREEMPT SMP NOPTI
[   99.100030] CPU: 1 PID: 42 Comm: bad Tainted: G           OE      5.14.0-427.el9.x86_64 #1
"""


@pytest.mark.parametrize(
    ("log", "panic"),
    [
        pytest.param(
            VERSION + NMI,
            Panic("Kernel panic - not syncing: NMI: Not continuing", True, "6.1.0-18-cloud-amd64"),
            id="diagnostic-interrupt",
        ),
        pytest.param(
            NMI,
            Panic("Kernel panic - not syncing: NMI: Not continuing", True, "6.1.0-18-cloud-amd64"),
            id="log-buffer-wrapped",
        ),
        pytest.param(
            OOPS,
            Panic("BUG: kernel NULL pointer dereference, address: 0000000000000010", False, "5.14.0-427.el9.x86_64"),
            id="oops-without-a-panic-line",
        ),
        pytest.param(
            "[ 9.0] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [spin:7]\n" + NMI,
            Panic("Kernel panic - not syncing: NMI: Not continuing", True, "6.1.0-18-cloud-amd64"),
            id="the-panic-not-what-led-to-it",
        ),
        pytest.param(
            "[ 5.1] sysrq: Trigger a crash\n[ 5.2] Kernel panic - not syncing: sysrq triggered crash\n",
            Panic("Kernel panic - not syncing: sysrq triggered crash", False, ""),
            id="by-sysrq",
        ),
        pytest.param("[ 9.0] Oops: 0000 [#1]\n", Panic("Oops: 0000 [#1]", False, ""), id="a-bare-oops"),
        pytest.param("[ 1.0] systemd[1]: Started.\n", Panic(), id="no-trouble-known"),
        pytest.param("", Panic(), id="no-log"),
    ],
)
def test_reads(log: str, panic: Panic) -> None:
    assert read_panic(log) == panic


def test_a_panic_line_without_end_is_cut() -> None:
    assert len(read_panic("Kernel panic - not syncing: " + "x" * 5000).line) == 300
