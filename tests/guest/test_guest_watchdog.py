"""The watchdog in the guest, on a real kernel: what starves systemd panics and dumps, without an interrupt."""

import pytest

from lab.guest import QemuGuest, hang, wait_until
from tests.guest.agent import Agent

pytestmark = pytest.mark.guest


def test_a_guest_that_starves_systemd_dumps_by_itself(armed_guest: QemuGuest) -> None:
    agent = Agent(armed_guest)
    assert agent.run("configure_kdump", guestWatchdog="true")["status"] == "configured"
    assert "detector-off" not in [each["code"] for each in agent.run("check_kdump")["findings"]]
    hang(armed_guest)
    baseline = len(armed_guest.console())

    def since_the_hang() -> str:
        return armed_guest.console()[baseline:]

    wait_until(lambda: "Watchdog Timer expired" in since_the_hang(), what="the watchdog panics", timeout_seconds=180)
    wait_until(lambda: "saved vmcore" in since_the_hang(), what="vmcore saved", timeout_seconds=400)
    armed_guest.wait_until_answers()


def test_a_guest_that_works_is_left_alone(armed_guest: QemuGuest) -> None:
    """Also while it is busy: systemd is fed before its 60 seconds are over."""
    agent = Agent(armed_guest)
    agent.run("configure_kdump", guestWatchdog="true")
    before = armed_guest.boot_id()
    agent.shell("timeout 90 sh -c 'for _ in 1 2 3 4; do while :; do :; done & done; wait' || true")
    assert armed_guest.boot_id() == before
    state = agent.shell("cat /sys/class/watchdog/watchdog0/state /sys/class/watchdog/watchdog0/timeout").split()
    assert state == ["active", "60"]
