"""Hangs a guest for good, so that only a reset or an NMI gets it out. Its kernel is deaf to the network, or is not."""

from pathlib import Path

from lab.guest.deadline import wait_until
from lab.guest.qemu_guest import QemuGuest

# The name of the process that spins. The kernel keeps 15 characters of it: `hangdump-spinne` in a dump.
SPINNER = "hangdump-spinner"
_HANG = Path(__file__).with_name("hang.sh").read_text()


def hang(guest: QemuGuest, *, answers_arp: bool = False, timeout_seconds: float = 60) -> None:
    """Returns when the guest has stopped answering; raises MachineUnreachable when it did not answer before.

    Whether a starved kernel goes on to answer ARP depends on its version and its settings: see hang.sh.
    """
    guest.spawn(_HANG, environment={"ANSWERS_ARP": "yes" if answers_arp else "no"})
    wait_until(
        lambda: not guest.answers(5),
        what="the spinners silence the guest agent",
        timeout_seconds=timeout_seconds,
    )
    if not answers_arp:
        wait_until(
            lambda: not guest.answers_arp(2),
            what="the spinners silence the network",
            timeout_seconds=timeout_seconds,
        )
