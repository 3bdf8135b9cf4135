"""What may be made to go wrong with a request. Owns which request it hits; the connection makes it happen."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.s3_server.errors import STATUS, S3Error
from lab.s3_server.request import Request


@dataclass(frozen=True)
class Reset:
    """The connection is reset once so many bytes of the body have arrived."""

    after_bytes: int = 0


@dataclass(frozen=True)
class Answer:
    """An error instead of doing it: InternalError, SlowDown, any code of S3's."""

    code: str
    status: int | None = None

    def error(self) -> S3Error:
        """The error to answer."""
        return S3Error(self.code, "Please reduce your request rate.", status=self.status or STATUS[self.code])


@dataclass(frozen=True)
class FlipByte:
    """The byte at this offset of the body arrives inverted."""

    offset: int = 0


@dataclass(frozen=True)
class LoseAnswer:
    """The request is carried out; the connection is reset instead of an answer."""


@dataclass(frozen=True)
class Expire:
    """The presigned URL counts as expired."""


Fault = Reset | Answer | FlipByte | LoseAnswer | Expire


@dataclass
class FaultPlan:
    """First come, first served: each fault hits `times` requests that match, in the order added.

    And every answer is on its way for `answer_seconds`.
    """

    answer_seconds: float = 0.0
    _planned: list[tuple[Callable[[Request], bool], Fault]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        fault: Fault,
        *,
        operation: str | None = None,
        part_number: int | None = None,
        is_presigned: bool | None = None,
        times: int = 1,
    ) -> None:
        """Plan it for the next `times` requests of this operation, part and kind of authentication; None is any."""

        def matches(request: Request) -> bool:
            return (
                operation in (None, request.operation)
                and (part_number is None or request.parameters.get("partNumber") == str(part_number))
                and is_presigned in (None, request.is_presigned)
            )

        with self._lock:
            self._planned += [(matches, fault)] * times

    def clear(self) -> None:
        """Nothing more goes wrong."""
        with self._lock:
            self._planned.clear()

    def next_for(self, request: Request) -> Fault | None:
        """The fault of this request, used up."""
        with self._lock:
            for index, (matches, fault) in enumerate(self._planned):
                if matches(request):
                    del self._planned[index]
                    return fault
        return None
