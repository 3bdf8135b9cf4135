"""upload_vmcore against an S3 that verifies, cut short at random, 200 times and more: the identical object or the dump.

The S3 server verifies signatures and digests by itself; the rounds are planned as the workflow plans them.
"""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from bench.broker import Broker
from lab.s3_server import Answer, Expire, Fault, FlipByte, LoseAnswer, Reset, S3Server
from lab.s3_server.client import s3_client
from lambdas.upload.part_plan import PartPlan
from ssm_documents.assemble import assemble, script_of
from tests.seeds import seeds
from tests.ssm_documents.document_run import Run
from tests.ssm_documents.dumps import CRASHED_AT, STAMP, VMCORE, digest_of, flattened, put
from tests.ssm_documents.fake_root import MIB, FakeRoot

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "vmcores"
# At least two cuts each.
CASES = 100
PART_BYTES = MIB // 4
DUMP = flattened(3 * PART_BYTES + 4321)
PLAN = PartPlan(len(DUMP), PART_BYTES, parts_per_batch=2)
# Two batches, the description of the first, and a round for each thing that may go wrong.
MAX_ROUNDS = 25


class KillableRoot(FakeRoot):
    """An instance that can be reset under a running document, which is assembled once: it runs a thousand times."""

    def install_document(self) -> None:
        """Write the script that `upload` runs."""
        content = assemble("upload_vmcore")
        self.defaults = {f"SSM_{name}": each["default"] for name, each in content["parameters"].items()}
        self.script = self.write("upload-script", script_of(content))
        self.script.chmod(0o755)

    def offer_python(self, *, is_there: bool) -> None:
        """A host with a Python 3 does as much of a round as it can in one process."""
        python = self.tools / "python3"
        python.unlink(missing_ok=True)
        if is_there:
            python.symlink_to("/usr/bin/python3")

    def upload(self, url: str, *, killed_after_seconds: float | None = None) -> Run:
        """The action upload; when it is not done in time, every process of it is killed."""
        with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
            process = subprocess.Popen(
                ["/bin/sh", "-c", str(self.script)],
                env=self._environment() | self.defaults | _parameters("upload", url, prefix="SSM_"),
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
            try:
                process.wait(timeout=killed_after_seconds or 120)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            stdout.seek(0)
            stderr.seek(0)
            said = stdout.read()
            report = json.loads(said) if said and process.returncode != -signal.SIGKILL else None
            return Run(process.returncode, report, said, stderr.read())


def _parameters(action: str, url: str = "none", *, prefix: str = "") -> dict[str, str]:
    values = {
        "action": action,
        "manifestUrl": url,
        "vmcorePath": VMCORE,
        "sizeBytes": str(len(DUMP)),
        "modifiedEpoch": str(CRASHED_AT),
    }
    return {prefix + name: value for name, value in values.items()}


@dataclass
class Upload:
    """One dump, one upload, and what is going to happen to it."""

    root: KillableRoot
    server: S3Server
    broker: Broker
    random: Random

    @property
    def file(self) -> Path:
        return self.root.path / VMCORE.lstrip("/")

    @property
    def stored(self) -> bytes | None:
        """The object, read past every check."""
        found = self.server.store.objects[BUCKET].get(self.broker.key)
        return None if found is None else b"".join(blob.file.read_bytes() for blob in found.blobs if blob.file)

    def plan_faults(self) -> None:
        """Two to four, each of which may hit several attempts in a row, on a first or a resumed upload."""
        if self.random.random() < 0.6:
            described = self.random.randint(1, PLAN.parts)
            parts = (DUMP[start : start + PART_BYTES] for start in range(0, len(DUMP), PART_BYTES))
            self.broker.digests = {number: digest_of(next(parts)) for number in range(1, described + 1)}
        for _ in range(self.random.randint(2, 4)):
            number = self.random.randint(1, PLAN.parts)
            times = self.random.choice([1, 1, 2, 7])
            fault = self._any_fault(PLAN.length_of(number))
            self.server.faults.add(fault, operation="UploadPart", part_number=number, times=times)
        if self.random.random() < 0.3:
            self.server.faults.add(self._any_fault(40), operation="PutObject", is_presigned=True)
        if self.random.random() < 0.2:
            self.server.faults.add(LoseAnswer(), operation="CompleteMultipartUpload")

    def _any_fault(self, length: int) -> Fault:
        offset = self.random.randrange(length)
        faults: list[Fault] = [
            Reset(after_bytes=offset),
            Reset(after_bytes=offset),
            FlipByte(offset=offset),
            Answer("InternalError"),
            Answer("SlowDown"),
            LoseAnswer(),
            Expire(),
        ]
        return self.random.choice(faults)

    def to_the_end(self, *, changes_in_round: int | None = None) -> bool:
        """Rounds of planning and sending, then the completion; False when the document says that the dump changed."""
        for number in range(MAX_ROUNDS):
            url = self.broker.next_manifest()
            if url is None:
                self.broker.complete()
                return True
            if number == changes_in_round:
                self.file.write_bytes(DUMP[:100] + b"changed" + DUMP[107:])
            run = self.root.upload(url, killed_after_seconds=self._moment_of_death())
            if run.error == "VmcoreChanged":
                return False
            if run.exit_code > 0:
                assert run.error in ("UploadFailed", "UploadRefused"), run.stdout + run.stderr
            if run.error == "UploadFailed":
                self.broker.forget_descriptions()
        raise AssertionError(f"still not complete after {MAX_ROUNDS} rounds")

    def _moment_of_death(self) -> float | None:
        return self.random.uniform(0.01, 0.4) if self.random.random() < 0.2 else None


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> KillableRoot:
    root = KillableRoot(tmp_path_factory.mktemp("cuts") / "root")
    root.install_document()
    return root


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(BUCKET, directory=tmp_path_factory.mktemp("objects"), smallest_part_bytes=1) as running:
        yield running


@pytest.fixture(scope="module")
def s3(server: S3Server) -> "S3Client":
    return s3_client(server.endpoint_url, server.credentials)


def _upload(instance: KillableRoot, server: S3Server, s3: "S3Client", seed: int) -> Upload:
    server.faults.clear()
    instance.offer_python(is_there=seed % 2 == 1)
    put(instance, VMCORE, DUMP)
    put(instance, f"/var/crash/{STAMP}/dmesg.{STAMP}", b"Kernel panic - not syncing: NMI: Not continuing\n")
    return Upload(instance, server, Broker(s3, BUCKET, f"case/{seed}", PLAN), Random(seed))  # noqa: S311


@pytest.mark.parametrize("seed", seeds(CASES, quick=12))
def test_any_cut_ends_with_the_identical_object_and_the_dump_still_there(
    instance: KillableRoot, server: S3Server, s3: "S3Client", seed: int
) -> None:
    upload = _upload(instance, server, s3, seed)
    upload.plan_faults()
    assert upload.to_the_end()
    assert upload.stored == DUMP
    assert upload.file.read_bytes() == DUMP
    s3.delete_object(Bucket=BUCKET, Key=upload.broker.key)


def test_a_dump_that_is_safe_is_removed(instance: KillableRoot, server: S3Server, s3: "S3Client") -> None:
    upload = _upload(instance, server, s3, CASES)
    assert upload.to_the_end()
    assert instance.run("upload_vmcore", **_parameters("remove")).exit_code == 0
    assert not upload.file.exists()


@pytest.mark.parametrize("changes_in_round", [0, 1, 2])
def test_a_dump_that_changes_is_kept_whatever_was_sent_of_it(
    instance: KillableRoot, server: S3Server, s3: "S3Client", changes_in_round: int
) -> None:
    upload = _upload(instance, server, s3, CASES + 1 + changes_in_round)
    upload.to_the_end(changes_in_round=changes_in_round)
    assert upload.stored in (None, DUMP)
    assert instance.run("upload_vmcore", **_parameters("remove")).error == "VmcoreChanged"
    assert upload.file.exists()
