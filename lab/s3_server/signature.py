"""Signature Version 4 over the raw request: who signed it, is it fresh, does it match. Owns no body."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, unquote

from lab.s3_server.credentials import Credentials
from lab.s3_server.errors import S3Error
from lab.s3_server.request import Request

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
MAX_SKEW = timedelta(minutes=15)
MAX_EXPIRES_SECONDS = 604800


@dataclass(frozen=True)
class Signed:
    """What authentication leaves to check of the body: its hash, or the chain of signatures of its chunks."""

    payload_hash: str
    seed: str
    signed_at: str
    scope: str
    key: bytes

    def signature(self, *lines: str, algorithm: str) -> str:
        """Sign further lines (chunks, a trailer) in the same scope."""
        text = "\n".join([algorithm, self.signed_at, self.scope, *lines])
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class _Claim:
    """The same six facts, from the Authorization header or from the query."""

    access_key_id: str
    scope: str
    signed_headers: tuple[str, ...]
    signature: str
    signed_at: str
    token: str | None


def authenticate(request: Request, accepted: Mapping[str, Credentials], *, region: str, now: datetime) -> Signed:
    """Raises S3Error with the code that S3 has for what is wrong."""
    claim = _claim_of_query(request, now) if request.is_presigned else _claim_of_header(request, now)
    _check_scope(claim, request, region)
    _check_signed_headers(claim, request)
    credentials = accepted.get(claim.access_key_id)
    if credentials is None:
        raise S3Error("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
    if claim.token != credentials.session_token:
        raise S3Error("InvalidToken", "The provided token is malformed or otherwise invalid.")
    payload_hash = request.header("x-amz-content-sha256") or UNSIGNED_PAYLOAD
    signed = Signed(payload_hash, claim.signature, claim.signed_at, claim.scope, _signing_key(credentials, claim.scope))
    canonical = _canonical_request(request, claim.signed_headers, payload_hash)
    expected = signed.signature(hashlib.sha256(canonical.encode("latin-1")).hexdigest(), algorithm=ALGORITHM)
    if not hmac.compare_digest(expected, claim.signature):
        raise S3Error(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and signing"
            " method.",
        )
    return signed


def _claim_of_query(request: Request, now: datetime) -> _Claim:
    given = request.parameters
    names = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders")
    if request.header("authorization") is not None:
        raise S3Error("InvalidArgument", "Only one auth mechanism allowed")
    if any(name not in given for name in names) or given["X-Amz-Algorithm"] != ALGORITHM:
        raise S3Error("AuthorizationQueryParametersError", f"Query-string authentication needs {', '.join(names)}.")
    expires = given["X-Amz-Expires"]
    if not expires.isdecimal() or not 1 <= int(expires) <= MAX_EXPIRES_SECONDS:
        raise S3Error("AuthorizationQueryParametersError", f"X-Amz-Expires must be 1 to {MAX_EXPIRES_SECONDS} seconds.")
    signed_at = _moment(given["X-Amz-Date"], "AuthorizationQueryParametersError")
    if now > signed_at + timedelta(seconds=int(expires)):
        raise S3Error("AccessDenied", "Request has expired")
    if signed_at > now + MAX_SKEW:
        raise S3Error("AccessDenied", "Request is not yet valid")
    key_id, _, scope = given["X-Amz-Credential"].partition("/")
    return _Claim(
        key_id,
        scope,
        tuple(given["X-Amz-SignedHeaders"].split(";")),
        given["X-Amz-Signature"],
        given["X-Amz-Date"],
        given.get("X-Amz-Security-Token"),
    )


def _claim_of_header(request: Request, now: datetime) -> _Claim:
    authorization = request.header("authorization")
    if authorization is None:
        raise S3Error("AccessDenied", "Access Denied")
    # AWS4-HMAC-SHA256 Credential=AKID/20261123/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0a…
    algorithm, _, rest = authorization.partition(" ")
    fields = dict(field.strip().split("=", 1) for field in rest.split(",") if "=" in field)
    if algorithm != ALGORITHM or not {"Credential", "SignedHeaders", "Signature"} <= fields.keys():
        raise S3Error("AuthorizationHeaderMalformed", "The authorization header you provided is invalid.")
    if request.header("x-amz-content-sha256") is None:
        raise S3Error("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    date = request.header("x-amz-date")
    if date is None:
        raise S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
    if abs(_moment(date, "AccessDenied") - now) > MAX_SKEW:
        raise S3Error(
            "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."
        )
    key_id, _, scope = fields["Credential"].partition("/")
    signed_headers = tuple(fields["SignedHeaders"].split(";"))
    return _Claim(key_id, scope, signed_headers, fields["Signature"], date, request.header("x-amz-security-token"))


def _moment(text: str, code: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise S3Error(code, "X-Amz-Date must be in the ISO8601 Long Format yyyyMMdd'T'HHmmss'Z'") from None


def _check_scope(claim: _Claim, request: Request, region: str) -> None:
    expected = f"{claim.signed_at[:8]}/{region}/s3/aws4_request"
    if claim.scope != expected:
        code = "AuthorizationQueryParametersError" if request.is_presigned else "AuthorizationHeaderMalformed"
        raise S3Error(code, f"The credential scope is {claim.scope}; expecting {expected}.")


def _check_signed_headers(claim: _Claim, request: Request) -> None:
    """Whatever tells S3 what to do has to be signed, or anyone on the way could add to it."""
    needed = {name for name, _ in request.headers if name.startswith("x-amz-")} | {"host"}
    if unsigned := sorted(needed - set(claim.signed_headers)):
        raise S3Error("AccessDenied", f"There were headers present in the request which were not signed: {unsigned}")


def _canonical_request(request: Request, signed_headers: tuple[str, ...], payload_hash: str) -> str:
    pairs = parse_qsl(request.query, keep_blank_values=True)
    query = sorted((_encoded(name), _encoded(value)) for name, value in pairs if name != "X-Amz-Signature")
    headers = [f"{name}:{' '.join((request.header(name) or '').split())}" for name in signed_headers]
    return "\n".join(
        [
            request.method,
            quote(unquote(request.path), safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in query),
            *headers,
            "",
            ";".join(signed_headers),
            payload_hash,
        ]
    )


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def _signing_key(credentials: Credentials, scope: str) -> bytes:
    key = f"AWS4{credentials.secret_access_key}".encode()
    for word in scope.split("/"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return key
