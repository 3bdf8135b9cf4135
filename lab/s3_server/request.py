"""The head of one request, as it arrived: nothing is decoded before the signature was checked over it."""

from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl, unquote

from lab.s3_server.errors import S3Error

MAX_HEAD_BYTES = 64 * 1024


@dataclass(frozen=True)
class Request:
    """`path` and `query` raw; header names in lower case, in the order sent."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, head: bytes) -> "Request":
        """Everything up to the empty line. Raises S3Error when it is no HTTP/1.1 request."""
        # PUT /bucket/key?partNumber=1 HTTP/1.1
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[1].startswith("/"):
            raise S3Error("InvalidRequest", "This is no request of HTTP/1.1.")
        path, _, query = words[1].partition("?")
        pairs = (line.partition(":") for line in lines if line)
        return cls(words[0], path, query, tuple((name.strip().lower(), value.strip()) for name, _, value in pairs))

    def header(self, name: str) -> str | None:
        """Its value, several ones joined by commas; None when it was not sent."""
        values = [value for each, value in self.headers if each == name]
        return ",".join(values) if values else None

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The query, decoded."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @property
    def bucket(self) -> str:
        """Path style only: /bucket/key."""
        return unquote(self.path[1:].partition("/")[0])

    @property
    def key(self) -> str:
        """Empty when the request is about the bucket."""
        return unquote(self.path[1:].partition("/")[2])

    @property
    def is_presigned(self) -> bool:
        """Authenticated by its query."""
        return "X-Amz-Signature" in self.parameters

    def claim(self, name: str) -> str | None:
        """An x-amz-* value that presigning may have moved from the headers to the query."""
        value = self.header(name)
        if value is None:
            value = next((found for each, found in self.parameters.items() if each.lower() == name), None)
        return value

    def number(self, parameter: str, default: int) -> int:
        """A number in the query; raises InvalidArgument."""
        text = self.parameters.get(parameter, str(default))
        if not text.isdecimal():
            raise S3Error("InvalidArgument", f"Provided {parameter} not an integer or within integer range")
        return int(text)

    @property
    def operation(self) -> str:
        """The name of S3's operation; raises NotImplemented for one that this server does not have."""
        found = _OPERATIONS.get((self.method, bool(self.key), self._subresource))
        if found is None or self.header("x-amz-copy-source") is not None:
            raise S3Error(
                "NotImplemented", "A header or query you provided implies functionality that is not implemented."
            )
        return found

    @property
    def _subresource(self) -> str:
        return next(
            (name for name in ("uploads", "partNumber", "uploadId", "list-type") if name in self.parameters), ""
        )


# method, is there a key, subresource → operation
_OPERATIONS = {
    ("HEAD", False, ""): "HeadBucket",
    ("GET", False, "list-type"): "ListObjectsV2",
    ("PUT", True, ""): "PutObject",
    ("GET", True, ""): "GetObject",
    ("HEAD", True, ""): "HeadObject",
    ("DELETE", True, ""): "DeleteObject",
    ("POST", True, "uploads"): "CreateMultipartUpload",
    ("PUT", True, "partNumber"): "UploadPart",
    ("GET", True, "uploadId"): "ListParts",
    ("POST", True, "uploadId"): "CompleteMultipartUpload",
    ("DELETE", True, "uploadId"): "AbortMultipartUpload",
}
