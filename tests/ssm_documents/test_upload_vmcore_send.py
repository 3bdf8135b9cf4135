"""upload_vmcore, action upload: against a bucket on loopback that checks digests, refuses, fails and hangs up."""

import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.ssm_documents.bucket import Bucket
from tests.ssm_documents.dumps import STAMP, VMCORE, digest_of, flattened, put
from tests.ssm_documents.fake_root import MIB, FakeRoot, Run

SIGNATURE = "X-Amz-Signature=5ec2e7"


PART_BYTES = 8 * MIB


def _parameters(bucket: Bucket, root: FakeRoot, lines: Sequence[Sequence[object]]) -> dict[str, str]:
    """What the workflow sends: the manifest in the bucket, and the parameters."""
    vmcore = root.run("upload_vmcore").result["vmcore"]
    bucket.objects["/manifest.tsv"] = "".join("\t".join(map(str, line)) + "\n" for line in lines).encode()
    return {
        "action": "upload",
        "manifestUrl": f"{bucket.url}/manifest.tsv?{SIGNATURE}",
        "vmcorePath": vmcore["path"],
        "sizeBytes": str(vmcore["sizeBytes"]),
        "modifiedEpoch": str(vmcore["modifiedEpoch"]),
    }


def _plan(bucket: Bucket, root: FakeRoot, *, skip: tuple[int, ...] = (), describe: int | None = None) -> dict[str, str]:
    """The dmesg and every part but those to skip; `describe` is the part with which a further batch begins."""
    lines: list[list[object]] = []
    if dmesg := root.run("upload_vmcore").result["dmesg"]:
        lines.append(["dmesg", 0, 0, dmesg["sizeBytes"], dmesg["digest"], f"{bucket.url}/dmesg?{SIGNATURE}"])
    data = (root.path / VMCORE.lstrip("/")).read_bytes()
    for index, offset in enumerate(range(0, len(data), PART_BYTES)):
        part = data[offset : offset + PART_BYTES]
        if index + 1 not in skip:
            url = f"{bucket.url}/part-{index + 1}?{SIGNATURE}"
            lines.append(["part", index + 1, offset, len(part), digest_of(part), url])
    if describe is not None:
        offset = (describe - 1) * PART_BYTES
        url = f"{bucket.url}/digests?{SIGNATURE}"
        lines.append(["describe", describe, offset, len(data) - offset, PART_BYTES, url])
    return _parameters(bucket, root, lines)


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


def _described(data: bytes, first: int, part_bytes: int = PART_BYTES) -> str:
    parts = [data[offset : offset + part_bytes] for offset in range((first - 1) * part_bytes, len(data), part_bytes)]
    return "".join(f"{first + index}\t{len(part)}\t{digest_of(part)}\n" for index, part in enumerate(parts))


@pytest.mark.parametrize("has_openssl", [True, False], ids=["openssl", "coreutils-alone"])
def test_batch_is_described_by_the_digests_of_its_parts(
    root: FakeRoot, dump: bytes, bucket: Bucket, has_openssl: bool
) -> None:
    openssl = shutil.which("openssl")
    assert openssl
    if has_openssl:
        (root.tools / "openssl").symlink_to(openssl)
    line = ["describe", 1, 0, len(dump), PART_BYTES, f"{bucket.url}/digests?{SIGNATURE}"]
    run = root.run("upload_vmcore", **_parameters(bucket, root, [line]))
    assert run.result["describedParts"] == 3
    assert run.result["uploadedParts"] == 0
    assert bucket.objects["/digests"].decode() == _described(dump, 1)
    _assert_kept_and_secret(root, run)


def test_describes_the_next_batch_while_it_sends_this_one(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    bucket.meeting = threading.Barrier(2)  # the digests arrive only while a part is still on its way
    bucket.meets_at = ("/part", "/digests")
    result = root.run("upload_vmcore", **_plan(bucket, root, skip=(2, 3), describe=2)).result
    assert (result["uploadedParts"], result["describedParts"]) == (1, 2)
    assert bucket.objects["/digests"].decode() == _described(dump, 2)


def test_hundreds_of_parts_are_described_whole_and_in_order(root: FakeRoot, bucket: Bucket) -> None:
    data = flattened(300 * 4096 + 17)
    put(root, VMCORE, data)
    line = ["describe", 1, 0, len(data), 4096, f"{bucket.url}/digests"]
    run = root.run("upload_vmcore", **_parameters(bucket, root, [line]), parallelism="16")
    assert run.result["describedParts"] == 301
    assert bucket.objects["/digests"].decode() == _described(data, 1, 4096)


def test_digests_that_could_not_be_left_are_a_failure_that_keeps_what_was_sent(
    root: FakeRoot, dump: bytes, bucket: Bucket
) -> None:
    bucket.misbehave["/digests"] = [503] * 10
    run = root.run("upload_vmcore", **_plan(bucket, root, skip=(2, 3), describe=2))
    assert run.error == "UploadFailed"
    assert "list of digests" in run.stdout
    assert bucket.objects["/part-1"] == dump[:PART_BYTES]
    _assert_kept_and_secret(root, run)


def test_bytes_that_changed_after_they_were_described_are_never_taken(
    root: FakeRoot, dump: bytes, bucket: Bucket
) -> None:
    parameters = _plan(bucket, root)
    changed = bytearray(dump)
    changed[9 * MIB] ^= 1
    put(root, VMCORE, bytes(changed))  # same size, same second
    run = root.run("upload_vmcore", **parameters)
    assert run.error == "UploadFailed"
    assert "part 2: HTTP 400" in run.stdout
    assert "/part-2" not in bucket.objects


def test_file_that_grows_meanwhile_is_named(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    parameters = _plan(bucket, root)
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
    root.run("upload_vmcore", **_plan(bucket, root), limitMibs="200", parallelism="2")
    assert _parts(bucket) == dump
    uploads = [line for line in log.read_text().splitlines() if "--upload-file" in line]
    assert len(uploads) == 4
    assert all(f"--limit-rate {100 * MIB} " in line for line in uploads)


def test_no_url_is_in_an_argument_list(root: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    log = _watch_curl(root)
    root.run("upload_vmcore", **_plan(bucket, root, skip=(2, 3), describe=2))
    assert "://" not in log.read_text()


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


def test_urls_that_a_killed_run_left_are_removed_by_the_next(root: FakeRoot, dump: bytes) -> None:
    root.write("run/hangdump.killed/manifest", f"part\t1\thttp://x/?{SIGNATURE}\n")
    assert root.run("upload_vmcore").result["status"] == "complete"
    assert not (root.path / "run/hangdump.killed").exists()
