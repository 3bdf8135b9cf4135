"""A port on the guest's own network, from which to ask for the guest's address by ARP, as EC2's check does."""

import socket
import threading
from pathlib import Path

from lab.guest.deadline import Deadline

# What QEMU's DHCP gives to its only client.
INSTANCE_ADDRESS = "10.0.2.15"
# A VPC's router has this address; on QEMU's network nobody has it.
_OUR_ADDRESS = "10.0.2.1"
_OUR_MAC = bytes.fromhex("5254004844fe")
_BROADCAST = b"\xff" * 6
_ARP = b"\x08\x06"
# Ethernet and IPv4, with addresses of six and four bytes.
_KIND = bytes.fromhex("000108000604")
_REQUEST, _REPLY = b"\x00\x01", b"\x00\x02"
# A frame can be lost, as on any network.
_REPEAT_SECONDS = 1.0
_FRAME_BYTES = 2048


class Wire:
    """`ours` and `qemus` are the Unix datagram sockets of the two ends; a datagram is an Ethernet frame.

    Our end is there only while we ask, so QEMU drops all other frames.
    """

    def __init__(self, *, ours: Path, qemus: Path) -> None:
        self._ours = ours
        self._qemus = qemus
        self._lock = threading.Lock()

    def answers_arp(self, timeout_seconds: float) -> bool:
        """Whether the guest's kernel says that it has its address. No process of the guest has a part in that."""
        deadline = Deadline(timeout_seconds)
        with self._lock, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            self._ours.unlink(missing_ok=True)
            end.bind(str(self._ours))
            while not deadline.is_over:
                end.settimeout(_REPEAT_SECONDS)
                try:
                    end.sendto(who_has(INSTANCE_ADDRESS), str(self._qemus))
                except OSError:
                    return False  # QEMU is off
                if _hears_reply(end, Deadline(min(_REPEAT_SECONDS, deadline.left_seconds))):
                    return True
        return False


def who_has(address: str) -> bytes:
    """The Ethernet frame of an ARP request."""
    sender = _OUR_MAC + socket.inet_aton(_OUR_ADDRESS)
    return _BROADCAST + _OUR_MAC + _ARP + _KIND + _REQUEST + sender + bytes(6) + socket.inet_aton(address)


def is_at(frame: bytes, address: str) -> bool:
    """Whether the frame is an ARP reply of the host that has the address."""
    is_reply = frame[12:14] == _ARP and frame[14:22] == _KIND + _REPLY
    return is_reply and frame[28:32] == socket.inet_aton(address)


def _hears_reply(end: socket.socket, deadline: Deadline) -> bool:
    while not deadline.is_over:
        end.settimeout(max(deadline.left_seconds, 0.01))
        try:
            frame = end.recv(_FRAME_BYTES)
        except TimeoutError:
            return False
        # The guest's other traffic comes here too.
        if is_at(frame, INSTANCE_ADDRESS):
            return True
    return False
