"""The body of a request: received, decoded when it is aws-chunked, and held to every claim made about it."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lab.s3_server import checksums
from lab.s3_server.errors import S3Error
from lab.s3_server.faults import Fault, FlipByte, Reset
from lab.s3_server.request import Request
from lab.s3_server.signature import UNSIGNED_PAYLOAD, Signed
from lab.s3_server.stream import Stream

Write = Callable[[memoryview], object]
_SHA256_HEX = re.compile("[0-9a-f]{64}")
_EMPTY_SHA256 = hashlib.sha256().hexdigest()
_STREAMING = "STREAMING-"
_SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
_MODES = (_SIGNED_CHUNKS, f"{_SIGNED_CHUNKS}-TRAILER", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
_TRAILER = "x-amz-trailer"


class ConnectionReset(Exception):
    """A fault asks for it."""


@dataclass(frozen=True)
class Received:
    """A body that is what it was claimed to be; `checksums` holds at most one, by algorithm."""

    size_bytes: int
    checksums: dict[str, str]


class Body:
    """Read at most once; `is_read` tells whether the connection is good for another request."""

    def __init__(self, stream: Stream, request: Request, signed: Signed, *, fault: Fault | None = None) -> None:
        self._stream, self._request, self._signed, self._fault = stream, request, signed, fault
        self._trailers: dict[str, str] = {}
        self.length = self._length()
        self.is_read = self.length == 0

    def receive(self, write: Write, *, before: Callable[[], None] = lambda: None) -> Received:
        """Raises S3Error for a claim that does not hold; `before` is called when the client is to start sending."""
        claims = self._claims()
        before()
        digests = {name: checksums.new(name) for name in claims}
        updates = [digest.update for digest in digests.values()]
        size_bytes = 0
        for piece in self._with_fault(self._chunks() if self._is_chunked else self._plain(self.length)):
            size_bytes += len(piece)
            for update in updates:
                update(piece)
            write(piece)
        self.is_read = True
        if self._is_chunked and size_bytes != int(self._request.header("x-amz-decoded-content-length") or -1):
            raise S3Error("IncompleteBody", "You did not provide the number of bytes specified by the header.")
        self._check(claims, digests)
        return Received(
            size_bytes, {name: checksums.encoded(digests[name]) for name in claims if name in self._claimed_checksums}
        )

    @property
    def _is_chunked(self) -> bool:
        return self._signed.payload_hash.startswith(_STREAMING)

    def _length(self) -> int:
        if self._request.header("transfer-encoding") is not None:
            raise S3Error("NotImplemented", "A header you provided implies functionality that is not implemented.")
        text = self._request.header("content-length")
        if text is None and self._request.method == "PUT":
            raise S3Error("MissingContentLength", "You must provide the Content-Length HTTP header.")
        if text is not None and not text.isdecimal():
            raise S3Error("InvalidArgument", "Content-Length is no number.")
        return int(text or 0)

    # --- what is claimed

    def _claims(self) -> dict[str, str | None]:
        """Algorithm → base64, or None when a trailer will say it."""
        claims: dict[str, str | None] = {}
        for algorithm in checksums.ALGORITHMS:
            name = checksums.PREFIX + algorithm
            value = self._request.claim(name)
            if value is not None:
                _require_base64(value, len(checksums.new(algorithm).digest()), name)
            if value is not None or name == self._request.header(_TRAILER):
                claims[algorithm] = value
        if len(claims) > 1:
            raise S3Error("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types given.")
        if self._request.claim("x-amz-sdk-checksum-algorithm") and not claims:
            raise S3Error("InvalidRequest", "x-amz-sdk-checksum-algorithm specified, but no corresponding checksum.")
        self._claimed_checksums = tuple(claims)
        claims |= self._payload_claim(claims)
        if (md5 := self._request.header("content-md5")) is not None:
            _require_base64(md5, 16, "Content-MD5", code="InvalidDigest")
            claims["md5"] = md5
        return claims

    def _payload_claim(self, claims: dict[str, str | None]) -> dict[str, str | None]:
        given = self._signed.payload_hash
        if given == UNSIGNED_PAYLOAD or given in _MODES:
            return {}
        if not _SHA256_HEX.fullmatch(given):
            raise S3Error("InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-… or a SHA-256.")
        return {"sha256": claims.get("sha256")}

    def _check(self, claims: dict[str, str | None], digests: dict[str, checksums.Checksum]) -> None:
        given = self._signed.payload_hash
        if _SHA256_HEX.fullmatch(given) and digests["sha256"].digest().hex() != given:
            raise S3Error("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' does not match.")
        for algorithm, claimed in claims.items():
            value = claimed
            if claimed is None and algorithm in self._claimed_checksums:
                value = self._trailers.get(checksums.PREFIX + algorithm, "missing")
            if value is not None and value != checksums.encoded(digests[algorithm]):
                what = "Content-MD5" if algorithm == "md5" else algorithm.upper()
                raise S3Error("BadDigest", f"The {what} you specified did not match the calculated checksum.")

    # --- the bytes

    def _plain(self, length: int) -> Iterator[memoryview]:
        while length:
            piece = self._stream.up_to(length)
            length -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[memoryview]:
        """`1000;chunk-signature=0a…`, the bytes, …, `0`, the trailers, an empty line."""
        previous, is_signed = self._signed.seed, self._signed.payload_hash.startswith(_SIGNED_CHUNKS)
        while True:
            size, _, signature = self._line().partition(";chunk-signature=")
            if not re.fullmatch("[0-9a-fA-F]{1,16}", size):
                raise S3Error("InvalidChunkSizeError", "This chunk has no size.")
            digest = hashlib.sha256()
            for piece in self._plain(int(size, 16)):
                if is_signed:
                    digest.update(piece)
                yield piece
            if is_signed:
                self._require_signature(signature, "PAYLOAD", previous, _EMPTY_SHA256, digest.hexdigest())
                previous = signature
            if int(size, 16) == 0:
                break
            self._line()
        while line := self._line():
            name, _, value = line.partition(":")
            self._trailers[name.strip().lower()] = value.strip()
        if is_signed and _TRAILER in dict(self._request.headers):
            given = self._trailers.pop("x-amz-trailer-signature", "")
            text = "".join(f"{name}:{value}\n" for name, value in sorted(self._trailers.items()))
            self._require_signature(given, "TRAILER", previous, hashlib.sha256(text.encode()).hexdigest())

    def _line(self) -> str:
        return self._stream.until(b"\r\n", limit=4096).decode("latin-1").strip()

    def _require_signature(self, given: str, kind: str, *lines: str) -> None:
        if not hmac.compare_digest(given, self._signed.signature(*lines, algorithm=f"AWS4-HMAC-SHA256-{kind}")):
            raise S3Error("SignatureDoesNotMatch", "The signature of a chunk or trailer does not match.")

    def _with_fault(self, pieces: Iterator[memoryview]) -> Iterator[memoryview]:
        position = 0
        for piece in pieces:
            after = position + len(piece)
            if isinstance(self._fault, Reset) and after >= self._fault.after_bytes:
                raise ConnectionReset
            if isinstance(self._fault, FlipByte) and position <= self._fault.offset < after:
                piece[self._fault.offset - position] ^= 0xFF
            yield piece
            position = after
        if isinstance(self._fault, Reset):
            raise ConnectionReset


def _require_base64(value: str, length: int, name: str, *, code: str = "InvalidRequest") -> None:
    try:
        decoded = base64.b64decode(value, validate=True)
    except binascii.Error:
        decoded = b""
    if len(decoded) != length:
        raise S3Error(code, f"Value for {name} header is invalid.")
