"""upload_vmcore, action upload: the digests of the batch that is sent next."""

import shutil
import threading

import pytest

from tests.ssm_documents.bucket import Bucket
from tests.ssm_documents.dumps import VMCORE, digest_of, flattened, put
from tests.ssm_documents.fake_root import FakeRoot
from tests.ssm_documents.upload_plans import (
    PART_BYTES,
    SIGNATURE,
    assert_kept_and_secret,
    parameters_of,
    plan_of,
)


def _described(data: bytes, first: int, part_bytes: int = PART_BYTES) -> str:
    parts = [data[offset : offset + part_bytes] for offset in range((first - 1) * part_bytes, len(data), part_bytes)]
    return "".join(f"{first + index}\t{len(part)}\t{digest_of(part)}\n" for index, part in enumerate(parts))


@pytest.mark.parametrize("has_openssl", [True, False], ids=["openssl", "coreutils-alone"])
def test_batch_is_described_by_the_digests_of_itsparts_in(
    root: FakeRoot, dump: bytes, bucket: Bucket, has_openssl: bool
) -> None:
    openssl = shutil.which("openssl")
    assert openssl
    if has_openssl:
        (root.tools / "openssl").symlink_to(openssl)
    line = ["describe", 1, 0, len(dump), PART_BYTES, f"{bucket.url}/digests?{SIGNATURE}"]
    run = root.run("upload_vmcore", **parameters_of(bucket, root, [line]))
    assert run.result["describedParts"] == 3
    assert run.result["uploadedParts"] == 0
    assert bucket.objects["/digests"].decode() == _described(dump, 1)
    assert_kept_and_secret(root, run)


def test_describes_the_next_batch_while_it_sends_this_one(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    bucket.meeting = threading.Barrier(2)  # the digests arrive only while a part is still on its way
    bucket.meets_at = ("/part", "/digests")
    result = root.run("upload_vmcore", **plan_of(bucket, root, skip=(2, 3), describe=2)).result
    assert (result["uploadedParts"], result["describedParts"]) == (1, 2)
    assert bucket.objects["/digests"].decode() == _described(dump, 2)


def test_hundreds_of_parts_are_described_whole_and_in_order(root: FakeRoot, bucket: Bucket) -> None:
    data = flattened(300 * 4096 + 17)
    put(root, VMCORE, data)
    line = ["describe", 1, 0, len(data), 4096, f"{bucket.url}/digests"]
    run = root.run("upload_vmcore", **parameters_of(bucket, root, [line]), parallelism="16")
    assert run.result["describedParts"] == 301
    assert bucket.objects["/digests"].decode() == _described(data, 1, 4096)


def test_digests_that_could_not_be_left_are_a_failure_that_keeps_what_was_sent(
    root: FakeRoot, dump: bytes, bucket: Bucket
) -> None:
    bucket.misbehave["/digests"] = [503] * 10
    run = root.run("upload_vmcore", **plan_of(bucket, root, skip=(2, 3), describe=2))
    assert run.error == "UploadFailed"
    assert "list of digests" in run.stdout
    assert bucket.objects["/part-1"] == dump[:PART_BYTES]
    assert_kept_and_secret(root, run)
