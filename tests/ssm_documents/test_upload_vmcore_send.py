"""upload_vmcore, action upload: against a bucket on loopback that checks digests, refuses, fails and hangs up."""

import threading

import pytest

from tests.ssm_documents.bucket import Bucket
from tests.ssm_documents.dumps import STAMP, VMCORE, digest_of, put
from tests.ssm_documents.fake_root import MIB, FakeRoot, Run

SIGNATURE = "X-Amz-Signature=5ec2e7"


def _plan(bucket: Bucket, root: FakeRoot, *, skip: tuple[int, ...] = ()) -> dict[str, str]:
    """What the workflow sends: the manifest in the bucket, and the parameters."""
    found = root.run("upload_vmcore").result
    vmcore, lines = found["vmcore"], []
    if dmesg := found["dmesg"]:
        lines.append(["dmesg", 0, 0, dmesg["sizeBytes"], dmesg["digest"], f"{bucket.url}/dmesg?{SIGNATURE}"])
    for index, digest in enumerate(vmcore["partDigests"]):
        offset = index * vmcore["partBytes"]
        length = min(vmcore["partBytes"], vmcore["sizeBytes"] - offset)
        if index + 1 not in skip:
            lines.append(["part", index + 1, offset, length, digest, f"{bucket.url}/part-{index + 1}?{SIGNATURE}"])
    bucket.objects["/manifest.tsv"] = "".join("\t".join(map(str, line)) + "\n" for line in lines).encode()
    return {
        "action": "upload",
        "manifestUrl": f"{bucket.url}/manifest.tsv?{SIGNATURE}",
        "vmcorePath": vmcore["path"],
        "sizeBytes": str(vmcore["sizeBytes"]),
        "modifiedEpoch": str(vmcore["modifiedEpoch"]),
    }


def _parts(bucket: Bucket, count: int = 3) -> bytes:
    return b"".join(bucket.objects[f"/part-{number}"] for number in range(1, count + 1))


def _assert_kept_and_secret(root: FakeRoot, run: Run) -> None:
    assert (root.path / VMCORE.lstrip("/")).exists()
    assert SIGNATURE not in run.stdout + run.stderr


def test_every_part_arrives_identical_and_dmesg_first(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    run = root.run("upload_vmcore", **_plan(bucket, root))
    result = run.result
    assert result["uploadedParts"] == 3
    assert result["uploadedBytes"] == len(dump) + 48
    assert result["seconds"] >= 0
    assert _parts(bucket) == dump
    assert bucket.order[0] == "/dmesg"
    _assert_kept_and_secret(root, run)


def test_parts_go_in_parallel(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    bucket.meeting = threading.Barrier(3)  # nobody gets an answer before all three are there
    assert root.run("upload_vmcore", **_plan(bucket, root), parallelism="3").result["uploadedParts"] == 3


def test_no_more_parts_at_once_than_asked(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    root.run("upload_vmcore", **_plan(bucket, root), parallelism="1")
    assert bucket.most_at_once == 1
    assert _parts(bucket) == dump


def test_only_missing_parts_are_sent_when_an_upload_is_resumed(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    assert root.run("upload_vmcore", **_plan(bucket, root, skip=(1, 3))).result["uploadedParts"] == 1
    assert bucket.objects["/part-2"] == dump[8 * MIB : 16 * MIB]
    assert "/part-1" not in bucket.objects


def test_dmesg_of_an_incomplete_dump_is_sent_alone(root: FakeRoot, bucket: Bucket) -> None:
    put(root, f"/var/crash/{STAMP}/dump-incomplete", b"makedumpfile")
    put(root, f"/var/crash/{STAMP}/dmesg.{STAMP}", b"panic\n")
    line = ["dmesg", 0, 0, 6, digest_of(b"panic\n"), f"{bucket.url}/dmesg?{SIGNATURE}"]
    bucket.objects["/manifest.tsv"] = "\t".join(map(str, line)).encode()  # without a newline at the end
    run = root.run(
        "upload_vmcore",
        action="upload",
        manifestUrl=f"{bucket.url}/manifest.tsv",
        vmcorePath=f"/var/crash/{STAMP}/dump-incomplete",
    )
    assert run.result["uploadedParts"] == 0
    assert bucket.objects["/dmesg"] == b"panic\n"


@pytest.mark.parametrize("trouble", [500, 503, 400, "cut"])
def test_part_is_sent_again_as_a_whole_after_trouble(
    root: FakeRoot, dump: bytes, bucket: Bucket, trouble: int | str
) -> None:
    bucket.misbehave["/part-2"] = [trouble, trouble]
    run = root.run("upload_vmcore", **_plan(bucket, root))
    assert run.result["uploadedParts"] == 3
    assert _parts(bucket) == dump
    assert bucket.requests.count(("PUT", "/part-2")) == 3
    _assert_kept_and_secret(root, run)


def test_gives_up_on_a_part_after_bounded_attempts(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    bucket.misbehave["/part-2"] = [500] * 100
    run = root.run("upload_vmcore", **_plan(bucket, root))
    assert (run.exit_code, run.error) == (1, "UploadFailed")
    assert "part 2: HTTP 500 after 6 attempts" in run.stdout
    _assert_kept_and_secret(root, run)


def test_refusal_is_named_and_not_retried(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    for path in ("/part-1", "/part-2", "/part-3"):
        bucket.misbehave[path] = [403] * 10
    run = root.run("upload_vmcore", **_plan(bucket, root), parallelism="1")
    assert (run.exit_code, run.error) == (1, "UploadRefused")
    assert [path for method, path in bucket.requests if method == "PUT"] == ["/dmesg", "/part-1"]
    _assert_kept_and_secret(root, run)


def test_refused_dmesg_stops_before_the_vmcore(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    bucket.misbehave["/dmesg"] = [403]
    assert root.run("upload_vmcore", **_plan(bucket, root)).error == "UploadRefused"
    assert "/part-1" not in bucket.objects


def test_upload_that_was_aborted_meanwhile_is_not_retried(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    bucket.misbehave["/part-1"] = [404] * 10
    assert root.run("upload_vmcore", **_plan(bucket, root)).error == "UploadFailed"
    assert bucket.requests.count(("PUT", "/part-1")) == 1


@pytest.mark.parametrize(("status", "error"), [(403, "UploadRefused"), (500, "UploadFailed")])
def test_manifest_that_cannot_be_read(root: FakeRoot, dump: bytes, bucket: Bucket, status: int, error: str) -> None:
    parameters = _plan(bucket, root)
    bucket.misbehave["/manifest.tsv"] = [status] * 10
    run = root.run("upload_vmcore", **parameters)
    assert run.error == error
    _assert_kept_and_secret(root, run)


def test_endpoint_that_cannot_be_reached(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    parameters = _plan(bucket, root) | {"manifestUrl": "http://127.0.0.1:1/manifest.tsv"}
    run = root.run("upload_vmcore", **parameters)
    assert run.error == "UploadFailed"
    assert "000" in run.stdout


@pytest.mark.parametrize(
    "line",
    ["<html>", "part\t1\t0\t5\tdigest\thttp://x/", "part\t1\t0\t5\t" + "A" * 43 + '=\thttp://x/"\noutput="/etc/passwd'],
)
def test_manifest_with_strange_lines_is_not_followed(root: FakeRoot, dump: bytes, bucket: Bucket, line: str) -> None:
    parameters = _plan(bucket, root)
    bucket.objects["/manifest.tsv"] += line.encode() + b"\n"
    assert root.run("upload_vmcore", **parameters).error == "UploadFailed"
    assert not [path for method, path in bucket.requests if method == "PUT"]


def test_changed_vmcore_is_not_uploaded(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    parameters = _plan(bucket, root)
    put(root, VMCORE, dump + b"more")
    assert root.run("upload_vmcore", **parameters).error == "VmcoreChanged"
    assert not bucket.order
