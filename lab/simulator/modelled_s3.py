"""S3 as a modelled host reaches it, by a presigned URL: the signature decides, then the signer's rights, then S3."""

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.exceptions import ClientError

from lab.aws.iam.policy import Caller
from lab.aws.presigned import Request, session_of, session_refusal, verify
from lab.aws.state import AccountState, utc_now
from lab.simulator.one_thread_account import client


class Refused(Exception):
    """S3's code."""


def request(account: AccountState, method: str, url: str, body: bytes = b"", *, digest: str = "") -> bytes:
    """`digest`: SHA-256 of the body in base64, as it was signed. Gives the answer's body; raises Refused."""
    asked = urlsplit(url)
    headers = {"host": asked.netloc} | ({"x-amz-checksum-sha256": digest} if digest else {})
    signed = Request(method, asked.path, asked.query, headers)
    refusal = verify(signed, account.secrets, now=utc_now())
    refusal = refusal or session_refusal(signed, account.sessions, now=utc_now())
    if refusal is not None:
        raise Refused(refusal.code)
    bucket, _, key = unquote(asked.path).lstrip("/").partition("/")
    given = {name: values[0] for name, values in parse_qs(asked.query).items()}
    where: dict[str, Any] = {"Bucket": bucket, "Key": key}
    if digest:
        where["ChecksumSHA256"] = digest
    if method == "GET":
        operation = "GetObject"
    elif "uploadId" in given:
        operation = "UploadPart"
        where |= {"UploadId": given["uploadId"], "PartNumber": int(given["partNumber"]), "Body": body}
    else:
        operation, where = "PutObject", where | {"Body": body}
    try:
        answer = _call_as_signer(account, signed, operation, where)
    except ClientError as error:
        raise Refused(error.response["Error"]["Code"]) from error
    return bytes(answer["Body"].read()) if method == "GET" else b""


def _call_as_signer(account: AccountState, signed: Request, operation: str, where: dict[str, Any]) -> Any:
    def forward() -> Any:
        return client("s3", account.region)._make_api_call(operation, where)

    session = session_of(signed, account.sessions)
    if session is None:
        return forward()
    signer = Caller("signer", session.role_arn, session.policy)
    return account.permissions.call(signer, "s3", operation, where, forward)
