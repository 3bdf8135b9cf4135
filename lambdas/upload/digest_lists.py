"""Reads the digests that an instance computed of its vmcore: one list per batch, each an object in the bucket.

S3 checks the same digest when it receives the part. The lists are objects because ten thousand digests fit into no
output of a command, no state of an execution and no item of a table.
"""

import hashlib
import re
from collections.abc import Mapping

from botocore.exceptions import ClientError

from lambdas.incident.object_keys import DIGESTS
from lambdas.instance.document_models import DIGEST
from lambdas.runtime import clients
from lambdas.runtime.bucket import code
from lambdas.upload.part_plan import PartPlan

# Nothing but a digest may reach a signed header or the manifest.
# "17<tab>67108864<tab>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
_LINE = re.compile(rf"(?P<number>[1-9][0-9]{{0,4}})\t(?P<length>[1-9][0-9]{{0,14}})\t(?P<digest>{DIGEST})")
# 2,000 parts have 150 kB. The instance may write an object of any size there.
_LONGEST_LIST_BYTES = 1024**2

Digests = Mapping[int, str]


def key_of(incident_id: str, upload_id: str, batch: int) -> str:
    """The key of a batch's list. Each upload of an incident has its own lists."""
    upload = hashlib.sha256(upload_id.encode()).hexdigest()[:16]
    return f"{DIGESTS}{incident_id}/{upload}/{batch:05}.tsv"


def read_lists(bucket: str, incident_id: str, upload_id: str, plan: PartPlan) -> dict[int, Digests]:
    """The valid lists by batch. The instance hashes the batches in order, so the first gap is the end."""
    lists: dict[int, Digests] = {}
    for batch in range(plan.batches):
        digests = _read(bucket, key_of(incident_id, upload_id, batch), plan, batch)
        if digests is None:
            break
        lists[batch] = digests
    return lists


def _read(bucket: str, key: str, plan: PartPlan, batch: int) -> Digests | None:
    try:
        stored = clients.s3().get_object(Bucket=bucket, Key=key)["Body"].read(_LONGEST_LIST_BYTES)
    except ClientError as error:
        if code(error) != "NoSuchKey":
            raise
        return None
    matches = [_LINE.fullmatch(line) for line in stored.decode("ascii", errors="replace").splitlines()]
    listed = {int(match["number"]): (int(match["length"]), match["digest"]) for match in matches if match}
    wanted = {number: plan.length_of(number) for number in plan.batch(batch)}
    # Ignore a truncated list or one of another part layout: the instance hashes the batch again.
    if len(matches) != len(listed) or {number: length for number, (length, _) in listed.items()} != wanted:
        return None
    return {number: digest for number, (_, digest) in listed.items()}
