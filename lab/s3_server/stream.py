"""Bytes from one connection, through one big buffer that is used again and again."""

import socket

BUFFER_BYTES = 1024 * 1024


class ConnectionEnded(Exception):
    """The client hung up in the middle of something."""


class Stream:
    """Reads lines and runs of bytes; what was read too far stays for the next one."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0

    def until(self, separator: bytes, *, limit: int) -> bytes:
        """What comes before the separator, which is dropped. Raises ConnectionEnded."""
        searched = self._start
        while True:
            found = self._buffer.find(separator, max(self._start, searched - len(separator)), self._end)
            if found >= 0:
                text = bytes(self._view[self._start : found])
                self._start = found + len(separator)
                return text
            if self._end - self._start > limit:
                raise ConnectionEnded
            if self._start:
                self._view[: self._end - self._start] = bytes(self._view[self._start : self._end])
                self._start, self._end = 0, self._end - self._start
            searched = self._end
            self._end += self._receive(self._view[self._end :])

    def up_to(self, limit: int) -> memoryview:
        """From one byte to `limit`, valid until the next call. Raises ConnectionEnded."""
        if self._start == self._end:
            self._start = 0
            self._end = self._receive(self._view[: min(limit, BUFFER_BYTES)])
        begin, self._start = self._start, min(self._start + limit, self._end)
        return self._view[begin : self._start]

    def _receive(self, into: memoryview) -> int:
        count = self._connection.recv_into(into)
        if not count:
            raise ConnectionEnded
        return count
