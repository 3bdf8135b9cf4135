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


def _offer(root: FakeRoot, *tools: str) -> None:
    for tool in tools:
        path = shutil.which(tool)
        assert path
        (root.tools / tool).symlink_to(path)


@pytest.mark.parametrize("tools", [("python3",), ("openssl",), ()], ids=["python", "openssl", "coreutils-alone"])
def test_batch_is_described_by_the_digests_of_its_parts(
    root: FakeRoot, dump: bytes, bucket: Bucket, tools: tuple[str, ...]
) -> None:
    _offer(root, *tools)
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


@pytest.mark.parametrize(
    "python",
    ["#!/bin/sh\nexit 1\n", "#!/bin/sh\ncase $* in *hashlib*) exit 0 ;; esac\necho 1\necho >&2 MemoryError; exit 1\n"],
    ids=["without-hashlib", "dies-half-way"],
)
def test_batch_is_described_without_a_python_that_does_not_do(
    root: FakeRoot, dump: bytes, bucket: Bucket, python: str
) -> None:
    (root.tools / "python3").write_text(python)
    (root.tools / "python3").chmod(0o755)
    line = ["describe", 1, 0, len(dump), PART_BYTES, f"{bucket.url}/digests"]
    assert root.run("upload_vmcore", **parameters_of(bucket, root, [line])).result["describedParts"] == 3
    assert bucket.objects["/digests"].decode() == _described(dump, 1)


def test_digests_that_could_not_be_left_are_a_failure_that_keeps_what_was_sent(
    root: FakeRoot, dump: bytes, bucket: Bucket
) -> None:
    bucket.misbehave["/digests"] = [503] * 10
    run = root.run("upload_vmcore", **plan_of(bucket, root, skip=(2, 3), describe=2))
    assert run.error == "UploadFailed"
    assert "list of digests" in run.stdout
    assert bucket.objects["/part-1"] == dump[:PART_BYTES]
    assert_kept_and_secret(root, run)
