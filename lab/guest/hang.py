"""Hangs a guest for good, so that only a reset or an NMI gets it out."""

from pathlib import Path

from lab.guest.deadline import wait_until
from lab.guest.qemu_guest import QemuGuest

# The name of the process that spins. The kernel keeps 15 characters of it: `hangdump-spinne` in a dump.
SPINNER = "hangdump-spinner"
_HANG = Path(__file__).with_name("hang.sh").read_text()


def hang(guest: QemuGuest, *, timeout_seconds: float = 60) -> None:
    """Returns when the guest has stopped answering; raises MachineUnreachable when it did not answer before."""
    guest.spawn(_HANG)
    wait_until(
        lambda: not guest.answers(5),
        what="the spinners silence the guest agent",
        timeout_seconds=timeout_seconds,
    )
