"""Searches the bucket for multipart uploads that were neither completed nor aborted."""

import re

from lambdas.runtime import clients
from lambdas.runtime.environment import VmcoreBucketName
from lambdas.sweep.found import Upload
from lambdas.sweep.time_left import TimeLeft

_PREFIX = "vmcores/"
# vmcores/123456789012/eu-west-1/i-0123456789abcdef0/20261123T040000Z-i-0123456789abcdef0/vmcore
_KEY = re.compile(r"vmcores/[0-9]{12}/[a-z0-9-]+/(?P<instance>i-[0-9a-f]+)/(?P<incident>[^/]+)/[^/]+")


def find_uploads(time_left: TimeLeft) -> tuple[Upload, ...]:
    """Of keys that are named as ours."""
    bucket = VmcoreBucketName.read().bucket_name
    pages = clients.s3().get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=_PREFIX)
    return tuple(
        Upload(
            key=upload["Key"],
            upload_id=upload["UploadId"],
            instance_id=named["instance"],
            incident_id=named["incident"],
            initiated_at=upload["Initiated"],
        )
        for page in time_left.pages("multipart uploads", pages)
        for upload in page.get("Uploads", [])
        if (named := _KEY.fullmatch(upload["Key"]))
    )
