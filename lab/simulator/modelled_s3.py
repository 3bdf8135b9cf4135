"""S3 as a modelled host reaches it, by a presigned URL: the signature decides, then what S3 says of the body."""

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from lab.aws.presigned import Request, session_refusal, verify
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
    s3 = client("s3", account.region)
    try:
        if method == "GET":
            content: bytes = s3.get_object(**where)["Body"].read()
            return content
        if digest:
            where["ChecksumSHA256"] = digest
        if "uploadId" in given:
            s3.upload_part(**where, UploadId=given["uploadId"], PartNumber=int(given["partNumber"]), Body=body)
        else:
            s3.put_object(**where, Body=body)
    except s3.exceptions.ClientError as error:
        raise Refused(error.response["Error"]["Code"]) from error
    return b""
