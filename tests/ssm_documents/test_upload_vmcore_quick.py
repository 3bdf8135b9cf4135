"""upload_vmcore, action upload, on a host with a Python 3: the same objects; what fails goes the usual way."""

import threading
from pathlib import Path

import pytest

from tests.ssm_documents.bucket import Bucket
from tests.ssm_documents.dumps import VMCORE, digest_of, put
from tests.ssm_documents.fake_root import MIB, FakeRoot
from tests.ssm_documents.upload_plans import PART_BYTES, assert_kept_and_secret, parts_in, plan_of

# The system's own, not one that this process's environment put before it.
PYTHON = Path("/usr/bin/python3")


def _watch(root: FakeRoot, tool: str, real: Path) -> Path:
    """Every argument list of the tool goes to a file."""
    log = root.path / f"{tool}-arguments"
    log.touch()
    (root.tools / tool).unlink(missing_ok=True)
    (root.tools / tool).write_text(f'#!/bin/bash\nprintf "%s\\n" "$*" >>{log}\nexec {real} "$@"\n')
    (root.tools / tool).chmod(0o755)
    return log


@pytest.fixture
def with_python(root: FakeRoot) -> FakeRoot:
    (root.tools / "python3").symlink_to(PYTHON)
    return root


def test_parts_and_digests_go_without_a_copy_through_dd(with_python: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    log = _watch(with_python, "dd", (with_python.tools / "dd").resolve())
    run = with_python.run("upload_vmcore", **plan_of(bucket, with_python, describe=2))
    assert (run.result["uploadedParts"], run.result["uploadedBytes"]) == (3, len(dump) + 48)
    assert run.result["describedParts"] == 2
    assert parts_in(bucket) == dump
    second, third = dump[PART_BYTES : 2 * PART_BYTES], dump[2 * PART_BYTES :]
    assert bucket.objects["/digests"].decode() == (
        f"2\t{len(second)}\t{digest_of(second)}\n3\t{len(third)}\t{digest_of(third)}\n"
    )
    assert VMCORE not in log.read_text()
    assert bucket.order[0] == "/dmesg"
    assert_kept_and_secret(with_python, run)


def test_parts_go_in_parallel(with_python: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    bucket.meeting = threading.Barrier(3)  # nobody gets an answer before all three are there
    plan = plan_of(bucket, with_python)
    assert with_python.run("upload_vmcore", **plan, parallelism="3").result["uploadedParts"] == 3


def test_no_more_parts_at_once_than_asked(with_python: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    with_python.run("upload_vmcore", **plan_of(bucket, with_python), parallelism="1")
    assert bucket.most_at_once == 1
    assert parts_in(bucket) == dump


def test_no_url_is_in_an_argument_list_and_the_limit_is_shared(
    with_python: FakeRoot, dump: bytes, bucket: Bucket
) -> None:
    log = _watch(with_python, "curl", (with_python.tools / "curl").resolve())
    with_python.run("upload_vmcore", **plan_of(bucket, with_python), limitMibs="200", parallelism="2")
    uploads = [line for line in log.read_text().splitlines() if "--upload-file" in line]
    assert len(uploads) == 4
    assert all(f"--limit-rate {100 * MIB} " in line for line in uploads)
    assert "://" not in log.read_text()


@pytest.mark.parametrize("trouble", [500, 503, 400, "cut"])
def test_part_in_trouble_is_sent_again_and_no_other(
    with_python: FakeRoot, dump: bytes, bucket: Bucket, trouble: int | str
) -> None:
    bucket.misbehave["/part-2"] = [trouble, trouble]
    run = with_python.run("upload_vmcore", **plan_of(bucket, with_python))
    assert run.result["uploadedParts"] == 3
    assert parts_in(bucket) == dump
    puts = [path for method, path in bucket.requests if method == "PUT"]
    assert [puts.count(f"/part-{number}") for number in (1, 2, 3)] == [1, 3, 1]
    assert_kept_and_secret(with_python, run)


def test_no_further_part_is_tried_quickly_after_the_first_trouble(
    with_python: FakeRoot, dump: bytes, bucket: Bucket
) -> None:
    bucket.misbehave["/part-1"] = [503]
    log = _watch(with_python, "dd", (with_python.tools / "dd").resolve())
    run = with_python.run("upload_vmcore", **plan_of(bucket, with_python), parallelism="1")
    assert run.result["uploadedParts"] == 3
    assert log.read_text().count(VMCORE) == 3


def test_refusal_is_named(with_python: FakeRoot, dump: bytes, bucket: Bucket) -> None:
    bucket.misbehave["/part-2"] = [403] * 10
    run = with_python.run("upload_vmcore", **plan_of(bucket, with_python))
    assert (run.exit_code, run.error) == (1, "UploadRefused")
    assert_kept_and_secret(with_python, run)


def test_bytes_that_changed_after_they_were_described_are_never_taken(
    with_python: FakeRoot, dump: bytes, bucket: Bucket
) -> None:
    parameters = plan_of(bucket, with_python)
    changed = bytearray(dump)
    changed[9 * MIB] ^= 1
    put(with_python, VMCORE, bytes(changed))  # same size, same second
    run = with_python.run("upload_vmcore", **parameters)
    assert run.error == "UploadFailed"
    assert "/part-2" not in bucket.objects


@pytest.mark.parametrize(
    "line", ['note("sent", number, length)', 'note("described", number, length, '], ids=["sending", "describing"]
)
def test_python_that_is_killed_costs_what_it_had_not_noted(
    root: FakeRoot, dump: bytes, bucket: Bucket, line: str
) -> None:
    """As by the kernel, out of memory, when it has done the work and is about to say so for the first time."""
    death = f"os.kill(os.getpid(), 9); {line}"
    (root.tools / "python3").write_text(f"#!/bin/bash\nsed 's/{line}/{death}/' | exec {PYTHON} \"$@\"\n")
    (root.tools / "python3").chmod(0o755)
    run = root.run("upload_vmcore", **plan_of(bucket, root, describe=2))
    assert (run.result["uploadedParts"], run.result["describedParts"]) == (3, 2)
    assert "the quick way ended with" in run.stderr
    assert parts_in(bucket) == dump
    assert_kept_and_secret(root, run)
