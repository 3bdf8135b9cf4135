"""A disk that another process serves, as EBS serves a volume: when that process is stopped, the guest's I/O stalls."""

import contextlib
import signal
import socket
from pathlib import Path

from lab.guest.deadline import wait_until
from lab.guest.power import start_process

_START_SECONDS = 10
# The first bytes that an NBD server sends to whoever connects.
_GREETING = b"NBDMAGIC"


class DiskServer:
    """qemu-nbd with a qcow2. QEMU is its one long client; a second one may ask whether it lives."""

    def __init__(self, disk: Path, socket_path: Path, *, log: Path) -> None:
        self.socket_path = socket_path
        arguments = ["qemu-nbd", "--format=qcow2", "--persistent", "--shared=2", f"--socket={socket_path}", str(disk)]
        self._process = start_process(["setpriv", "--pdeathsig", "KILL", "--", *arguments], log=log)
        wait_until(
            lambda: self.answers(1), what=f"the server of {disk}", timeout_seconds=_START_SECONDS, interval_seconds=0.05
        )

    def answers(self, timeout_seconds: float) -> bool:
        """Whether it serves anybody."""
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.settimeout(timeout_seconds)
            client.connect(str(self.socket_path))
            return client.recv(len(_GREETING)) == _GREETING
        return False

    def stall(self) -> None:
        """From now on it completes nothing, and refuses nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """What was asked meanwhile is done now."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Ends it, stalled or not; what it has not done fails."""
        self._process.kill()
        self._process.wait()
        self.socket_path.unlink(missing_ok=True)
