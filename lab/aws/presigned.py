"""Verifies presigned S3 requests the way S3 does: expiry, signature, signed headers. Pure; owns no object."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Refusal:
    """S3's answer to a presigned request that it does not accept; always 403."""

    code: str
    message: str


@dataclass(frozen=True)
class Request:
    """What arrived: `path` and `query` raw, as sent; header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


def is_presigned(query: str) -> bool:
    return "X-Amz-Signature=" in query


def verify(request: Request, secrets: Mapping[str, str], *, now: datetime) -> Refusal | None:
    """None when S3 would go on with the request."""
    params = dict(parse_qsl(request.query, keep_blank_values=True))
    missing = {"X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders"} - set(params)
    if params.get("X-Amz-Algorithm") != ALGORITHM or missing:
        return Refusal("AuthorizationQueryParametersError", f"Query-string authentication misses {sorted(missing)}")
    signed_at = datetime.strptime(params["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if now > signed_at + timedelta(seconds=int(params["X-Amz-Expires"])):
        return Refusal("AccessDenied", "Request has expired")
    signed_headers = params["X-Amz-SignedHeaders"].split(";")
    unsigned = sorted(name for name in request.headers if name.startswith("x-amz-") and name not in signed_headers)
    if unsigned:
        return Refusal("AccessDenied", f"There were headers present in the request which were not signed: {unsigned}")
    key_id, *scope = params["X-Amz-Credential"].split("/")
    if key_id not in secrets:
        return Refusal("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
    expected = _signature(request, params, signed_headers, scope, secrets[key_id])
    if not hmac.compare_digest(expected, params["X-Amz-Signature"]):
        return Refusal("SignatureDoesNotMatch", "The request signature we calculated does not match the one provided.")
    return None


def _signature(
    request: Request, params: Mapping[str, str], signed_headers: list[str], scope: list[str], secret: str
) -> str:
    query = "&".join(
        f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}"
        for key, value in sorted(params.items())
        if key != "X-Amz-Signature"
    )
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signed_headers)
    canonical = "\n".join([request.method, request.path, query, headers, ";".join(signed_headers), "UNSIGNED-PAYLOAD"])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join([ALGORITHM, params["X-Amz-Date"], "/".join(scope), digest])
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
