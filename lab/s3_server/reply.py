"""What goes back: status, headers, XML. Owns no decision."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from xml.sax.saxutils import escape

from lab.s3_server.store import Blob

Fields = Iterable[tuple[str, object]]


@dataclass(frozen=True)
class Reply:
    """`content` is sent after `body`: (blob, first byte, byte after the last)."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content: tuple[tuple[Blob, int, int], ...] = ()

    def head(self, request_id: str, *, is_last: bool) -> bytes:
        """Status line and headers."""
        length = len(self.body) + sum(end - begin for _, begin, end in self.content)
        headers = {
            "Server": "hangdump-lab",
            "Date": format_datetime(datetime.now(UTC), usegmt=True),
            "x-amz-request-id": request_id,
            "Content-Length": str(length),
            **self.headers,
            **({"Connection": "close"} if is_last else {}),
        }
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode("latin-1")


def xml(root: str, fields: Fields, *, headers: Mapping[str, str] | None = None) -> Reply:
    """A document: a field whose value is a list of pairs becomes an element with children, once per occurrence."""
    text = f'<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{_elements(fields)}</{root}>'
    body = b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode()
    return Reply(headers={"Content-Type": "application/xml", **(headers or {})}, body=body)


def _elements(fields: Fields) -> str:
    parts = []
    for name, value in fields:
        if isinstance(value, list):
            inner = _elements(value)
        elif isinstance(value, bool):
            inner = str(value).lower()
        elif isinstance(value, datetime):
            inner = value.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        else:
            inner = escape(str(value))
        parts.append(f"<{name}>{inner}</{name}>")
    return "".join(parts)
