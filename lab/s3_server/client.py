"""boto3 as the server's clients configure it: path style, Signature Version 4."""

from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from lab.s3_server.credentials import REGION, Credentials

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def s3_client(endpoint_url: str, credentials: Credentials, **config: Any) -> "S3Client":
    """`config` goes to botocore's Config: retries, request_checksum_calculation."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, **config),
    )
