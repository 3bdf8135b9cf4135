"""Real Linux on QEMU: the machine behind every instance of the lab."""

from lab.guest.deadline import wait_until
from lab.guest.hang import SPINNER, hang
from lab.guest.hardware import Hardware
from lab.guest.imds import Identity
from lab.guest.qemu_guest import QemuGuest

__all__ = ["SPINNER", "Hardware", "Identity", "QemuGuest", "hang", "wait_until"]
