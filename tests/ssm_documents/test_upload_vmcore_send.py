"""upload_vmcore, action upload: against a bucket on loopback that checks digests, refuses, fails and hangs up."""

import threading
from pathlib import Path

import pytest

from tests.ssm_documents.bucket import Bucket
from tests.ssm_documents.dumps import STAMP, VMCORE, digest_of, put
from tests.ssm_documents.fake_root import MIB, FakeRoot
from tests.ssm_documents.upload_plans import (
    SIGNATURE,
    assert_kept_and_secret,
    parts_in,
    plan_of,
)


def test_every_part_arrives_identical_and_dmesg_first(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    run = root.run("upload_vmcore", **plan_of(bucket, root))
    result = run.result
    assert result["uploadedParts"] == 3
    assert result["uploadedBytes"] == len(dump) + 48
    assert result["seconds"] >= 0
    assert parts_in(bucket) == dump
    assert bucket.order[0] == "/dmesg"
    assert_kept_and_secret(root, run)


def test_parts_go_in_parallel(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    bucket.meeting = threading.Barrier(3)  # nobody gets an answer before all three are there
    assert root.run("upload_vmcore", **plan_of(bucket, root), parallelism="3").result["uploadedParts"] == 3


def test_no_more_parts_at_once_than_asked(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    root.run("upload_vmcore", **plan_of(bucket, root), parallelism="1")
    assert bucket.most_at_once == 1
    assert parts_in(bucket) == dump


def test_only_missing_parts_are_sent_when_an_upload_is_resumed(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    assert root.run("upload_vmcore", **plan_of(bucket, root, skip=(1, 3))).result["uploadedParts"] == 1
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


def test_bytes_that_changed_after_they_were_described_are_never_taken(
    root: FakeRoot, dump: bytes, bucket: Bucket
) -> None:
    parameters = plan_of(bucket, root)
    changed = bytearray(dump)
    changed[9 * MIB] ^= 1
    put(root, VMCORE, bytes(changed))  # same size, same second
    run = root.run("upload_vmcore", **parameters)
    assert run.error == "UploadFailed"
    assert "part 2: HTTP 400" in run.stdout
    assert "/part-2" not in bucket.objects


def test_file_that_grows_meanwhile_is_named(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    parameters = plan_of(bucket, root)
    put(root, VMCORE, dump + b"more")
    assert root.run("upload_vmcore", **parameters).error == "VmcoreChanged"
    assert not bucket.order


def _watch_curl(root: FakeRoot) -> Path:
    """Every argument list of curl goes to a file."""
    curl, log = root.tools / "curl", root.path / "curl-arguments"
    real = curl.resolve()
    curl.unlink()
    curl.write_text(f'#!/bin/bash\nprintf "%s\\n" "$*" >>{log}\nexec {real} "$@"\n')
    curl.chmod(0o755)
    return log


def test_limit_is_shared_by_the_parts_that_go_at_once(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    log = _watch_curl(root)
    root.run("upload_vmcore", **plan_of(bucket, root), limitMibs="200", parallelism="2")
    assert parts_in(bucket) == dump
    uploads = [line for line in log.read_text().splitlines() if "--upload-file" in line]
    assert len(uploads) == 4
    assert all(f"--limit-rate {100 * MIB} " in line for line in uploads)


def test_no_url_is_in_an_argument_list(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    log = _watch_curl(root)
    root.run("upload_vmcore", **plan_of(bucket, root, skip=(2, 3), describe=2))
    assert "://" not in log.read_text()


@pytest.mark.parametrize("trouble", [500, 503, 400, "cut"])
def test_part_is_sent_again_as_a_whole_after_trouble(
    root: FakeRoot, dump: bytes, bucket: Bucket, trouble: int | str
) -> None:
    bucket.misbehave["/part-2"] = [trouble, trouble]
    run = root.run("upload_vmcore", **plan_of(bucket, root))
    assert run.result["uploadedParts"] == 3
    assert parts_in(bucket) == dump
    assert bucket.requests.count(("PUT", "/part-2")) == 3
    assert_kept_and_secret(root, run)


def test_gives_up_on_a_part_after_bounded_attempts(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    bucket.misbehave["/part-2"] = [500] * 100
    run = root.run("upload_vmcore", **plan_of(bucket, root))
    assert (run.exit_code, run.error) == (1, "UploadFailed")
    assert "part 2: HTTP 500 after 6 attempts" in run.stdout
    assert_kept_and_secret(root, run)


def test_refusal_is_named_and_not_retried(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    for path in ("/part-1", "/part-2", "/part-3"):
        bucket.misbehave[path] = [403] * 10
    run = root.run("upload_vmcore", **plan_of(bucket, root), parallelism="1")
    assert (run.exit_code, run.error) == (1, "UploadRefused")
    assert [path for method, path in bucket.requests if method == "PUT"] == ["/dmesg", "/part-1"]
    assert_kept_and_secret(root, run)


def test_refused_dmesg_stops_before_the_vmcore(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    bucket.misbehave["/dmesg"] = [403]
    assert root.run("upload_vmcore", **plan_of(bucket, root)).error == "UploadRefused"
    assert "/part-1" not in bucket.objects


def test_upload_that_was_aborted_meanwhile_is_not_retried(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    bucket.misbehave["/part-1"] = [404] * 10
    assert root.run("upload_vmcore", **plan_of(bucket, root)).error == "UploadFailed"
    assert bucket.requests.count(("PUT", "/part-1")) == 1


@pytest.mark.parametrize(("status", "error"), [(403, "UploadRefused"), (500, "UploadFailed")])
def test_manifest_that_cannot_be_read(root: FakeRoot, dump: bytes, bucket: Bucket, status: int, error: str) -> None:
    parameters = plan_of(bucket, root)
    bucket.misbehave["/manifest.tsv"] = [status] * 10
    run = root.run("upload_vmcore", **parameters)
    assert run.error == error
    assert_kept_and_secret(root, run)


def test_endpoint_that_cannot_be_reached(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    parameters = plan_of(bucket, root) | {"manifestUrl": "http://127.0.0.1:1/manifest.tsv"}
    run = root.run("upload_vmcore", **parameters)
    assert run.error == "UploadFailed"
    assert "000" in run.stdout


@pytest.mark.parametrize(
    "line",
    ["<html>", "part\t1\t0\t5\tdigest\thttp://x/", "part\t1\t0\t5\t" + "A" * 43 + '=\thttp://x/"\noutput="/etc/passwd'],
)
def test_manifest_with_strange_lines_is_not_followed(root: FakeRoot, dump: bytes, bucket: Bucket, line: str) -> None:
    parameters = plan_of(bucket, root)
    bucket.objects["/manifest.tsv"] += line.encode() + b"\n"
    assert root.run("upload_vmcore", **parameters).error == "UploadFailed"
    assert not [path for method, path in bucket.requests if method == "PUT"]


def test_changed_vmcore_is_not_uploaded(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    parameters = plan_of(bucket, root)
    put(root, VMCORE, dump + b"more")
    assert root.run("upload_vmcore", **parameters).error == "VmcoreChanged"
    assert not bucket.order


def test_urls_that_a_killed_run_left_are_removed_by_the_next(root: FakeRoot, dump: bytes) -> None:
    root.write("run/hangdump.killed/manifest", f"part\t1\thttp://x/?{SIGNATURE}\n")
    assert root.run("upload_vmcore").result["status"] == "complete"
    assert not (root.path / "run/hangdump.killed").exists()
