"""One connection of a client: request after request, until either side has enough."""

import socket
import struct
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from lab.s3_server import multipart, objects
from lab.s3_server.body import Body, ConnectionReset
from lab.s3_server.credentials import Credentials
from lab.s3_server.errors import S3Error
from lab.s3_server.faults import Answer, Expire, Fault, FaultPlan, LoseAnswer
from lab.s3_server.incoming import Incoming
from lab.s3_server.reply import Reply
from lab.s3_server.request import MAX_HEAD_BYTES, Request
from lab.s3_server.signature import authenticate
from lab.s3_server.store import Blob, Store
from lab.s3_server.stream import ConnectionEnded, Stream

PATIENCE_SECONDS = 60
# What is read of a body that was refused, so that the client gets to see the answer instead of a reset.
MAX_DRAINED_BYTES = 4 * 1024**2


@dataclass(frozen=True)
class Account:
    """What every connection of a server shares."""

    store: Store
    credentials: dict[str, Credentials]
    region: str
    smallest_part_bytes: int
    faults: FaultPlan
    now: Callable[[], datetime]
    served: Callable[[str, str, int], None]


_HANDLERS: dict[str, Callable[[Store, Incoming], Reply]] = {
    "HeadBucket": objects.head_bucket,
    "ListObjectsV2": objects.list_objects,
    "PutObject": objects.put_object,
    "GetObject": objects.get_object,
    "HeadObject": objects.head_object,
    "DeleteObject": objects.delete_object,
    "CreateMultipartUpload": multipart.create,
    "UploadPart": multipart.upload_part,
    "ListParts": multipart.list_parts,
    "CompleteMultipartUpload": multipart.complete,
    "AbortMultipartUpload": multipart.abort,
}


class Connection:
    """Serves in the thread that calls `serve`."""

    def __init__(self, client: socket.socket, account: Account) -> None:
        client.settimeout(PATIENCE_SECONDS)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client, self._account, self._stream = client, account, Stream(client)

    def serve(self) -> None:
        try:
            while self._serve_one():
                pass
        except (ConnectionEnded, OSError):
            pass
        except ConnectionReset:
            self._reset()
        finally:
            self._client.close()

    def _serve_one(self) -> bool:
        """Whether the connection is good for another request."""
        head = self._stream.until(b"\r\n\r\n", limit=MAX_HEAD_BYTES)
        request_id, method, path = uuid.uuid4().hex[:16].upper(), "", ""
        fault: Fault | None = None
        body: Body | None = None
        name = "?"
        try:
            request = Request.parse(head)
            method, path, name = request.method, request.path, request.operation
            fault = self._account.faults.next_for(request)
            incoming = self._authenticated(request, fault)
            body = incoming.body
            reply = _HANDLERS[name](self._account.store, incoming)
            self._finish(body)
        except S3Error as error:
            reply = Reply(error.status, {"Content-Type": "application/xml"}, error.xml(path, request_id))
        if isinstance(fault, LoseAnswer):
            raise ConnectionReset
        time.sleep(self._account.faults.answer_seconds)
        # Before the answer: who has got it may ask what was served.
        self._account.served(name, path, reply.status)
        is_last = body is None or not body.is_read
        self._client.sendall(reply.head(request_id, is_last=is_last))
        if method != "HEAD":
            self._send(reply)
        if is_last:
            self._drain()
        return not is_last

    def _authenticated(self, request: Request, fault: Fault | None) -> Incoming:
        account = self._account
        if isinstance(fault, Answer):
            raise fault.error()
        if isinstance(fault, Expire):
            raise S3Error("AccessDenied", "Request has expired")
        signed = authenticate(request, account.credentials, region=account.region, now=account.now())
        body = Body(self._stream, request, signed, fault=fault)
        waits = (request.header("expect") or "").lower() == "100-continue"
        return Incoming(request, body, account.smallest_part_bytes, self._continue if waits else lambda: None)

    def _continue(self) -> None:
        self._client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _finish(self, body: Body) -> None:
        """A body that the operation had no use for, such as that of a GET."""
        if not body.is_read:
            body.receive(lambda _: None, before=self._continue)

    def _send(self, reply: Reply) -> None:
        if reply.body:
            self._client.sendall(reply.body)
        for blob, begin, end in reply.content:
            self._send_slice(blob, begin, end)

    def _send_slice(self, blob: Blob, begin: int, end: int) -> None:
        if blob.file is None:
            raise ConnectionReset
        with blob.file.open("rb") as file:
            self._client.sendfile(file, begin, end - begin)

    def _drain(self) -> None:
        self._client.shutdown(socket.SHUT_WR)
        self._client.settimeout(2)
        left = MAX_DRAINED_BYTES
        while left > 0:
            left -= len(self._stream.up_to(left))

    def _reset(self) -> None:
        """RST instead of FIN."""
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
