"""A guest that really hangs, and really dumps."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab.guest import QemuGuest, hang, wait_until
from lab.guest.saved_state import CannotSave, restored, save_state
from tests.guest.agent import Agent
from tests.guest.conftest import UploadSink

pytestmark = pytest.mark.guest
_DUMPS = "#!/bin/sh\ncd /var/crash && ls -d */dump.* */dmesg.*\n"
_PANIC = "#!/bin/sh\ncat /var/crash/*/dmesg.*\n"


def test_a_hung_guest_is_silent_for_good_yet_powered_on(armed_guest: QemuGuest) -> None:
    hang(armed_guest)
    for _ in range(3):
        assert not armed_guest.answers(5)
        assert not armed_guest.answers_arp(2)
    assert armed_guest.is_running()


def test_an_nmi_brings_a_hung_guest_through_the_crash_kernel_to_a_vmcore(armed_guest: QemuGuest) -> None:
    before = armed_guest.boot_id()
    hang(armed_guest)
    baseline = len(armed_guest.console())

    armed_guest.inject_nmi()

    def since_the_interrupt() -> str:
        return armed_guest.console()[baseline:]

    wait_until(lambda: "elfcorehdr=" in since_the_interrupt(), what="crash kernel's command line", timeout_seconds=60)
    wait_until(lambda: "saved vmcore" in since_the_interrupt(), what="vmcore saved", timeout_seconds=400)
    armed_guest.wait_until_answers()
    assert armed_guest.boot_id() != before

    def names() -> str:
        return armed_guest.run(_DUMPS, environment={}, timeout_seconds=60).stdout

    # The agent answers before the dump volume is mounted.
    wait_until(lambda: "/dump.2" in names(), what="the dump is on its volume", timeout_seconds=120)
    assert (
        "Kernel panic - not syncing: NMI: Not continuing"
        in armed_guest.run(_PANIC, environment={}, timeout_seconds=60).stdout
    )


def test_estimate_of_a_dumps_size_is_near_what_makedumpfile_counts(armed_guest: QemuGuest) -> None:
    """The estimate is for hosts without a reservation, on which makedumpfile refuses to count."""
    agent = Agent(armed_guest)
    measured = agent.run("measure_dump", dumpLevel="31")
    agent.shell("mv /usr/bin/makedumpfile /root/")
    estimated = agent.run("measure_dump", dumpLevel="31")
    assert (measured["method"], estimated["method"]) == ("makedumpfile", "meminfo")
    assert 0.5 < estimated["expectedDumpBytes"] / measured["expectedDumpBytes"] < 2, (measured, estimated)


def test_two_guests_from_one_state_share_nothing(armed_state: Path, upload_sink: UploadSink, tmp_path: Path) -> None:
    for name in ("first", "second"):
        with restored(armed_state, tmp_path / name, s3_port=upload_sink.port) as guest:
            mark = "#!/bin/sh\nset -e\ncd /var/crash\ntest ! -e mark\ntouch mark /root/mark\nsync\n"
            assert guest.run(mark, environment={}, timeout_seconds=60).exit_code == 0


def test_a_restored_guest_knows_what_time_it_is(armed_guest: QemuGuest) -> None:
    done = armed_guest.run("#!/bin/sh\ndate +%s\n", environment={}, timeout_seconds=60)
    assert abs(int(done.stdout) - datetime.now(UTC).timestamp()) < 30


def test_refuses_to_save_a_guest_whose_root_cannot_be_migrated(live_guest: QemuGuest, tmp_path: Path) -> None:
    with pytest.raises(CannotSave, match="virtio"):
        save_state(live_guest, tmp_path / "state")
    assert live_guest.answers(10)
