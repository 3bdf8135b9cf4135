"""`python boto3_upload.py ENDPOINT FILE BUCKET KEY`: boto3's TransferManager, run by the peers' own Python."""

import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

endpoint_url, file, bucket, key = sys.argv[1:]
# The same as over HTTPS: a CRC32 of each part, no SHA-256.
settings = Config(s3={"addressing_style": "path", "payload_signing_enabled": False})
s3 = boto3.client("s3", endpoint_url=endpoint_url, config=settings)
part_bytes = 64 * 1024**2
# Its client on the Common Runtime takes no endpoint with a port.
config = TransferConfig(
    multipart_threshold=part_bytes,
    multipart_chunksize=part_bytes,
    max_concurrency=10,
    preferred_transfer_client="classic",
)
s3.upload_file(file, bucket, key, Config=config)
