"""What an operation gets: a request whose signature holds, before its body is read."""

from collections.abc import Callable
from dataclasses import dataclass

from lab.s3_server.body import Body, Received, Write
from lab.s3_server.request import Request


@dataclass(frozen=True)
class Incoming:
    """An authenticated request whose body has not been read."""

    request: Request
    body: Body
    smallest_part_bytes: int
    go_on: Callable[[], None]

    def receive(self, write: Write) -> Received:
        """Read the body; the client that waits for 100 Continue is told now."""
        return self.body.receive(write, before=self.go_on)
