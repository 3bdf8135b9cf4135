"""An instance that goes down while its vmcore is on the way: a real kernel and its dump, and the deployed stack."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.aws.account import LabAccount
from lab.deployment import deploy_hangdump, synthesize_for_lab
from lab.guest import QemuGuest, wait_until
from lab.guest.saved_state import restored

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1800)]

# The dump has 30 MB and more, in parts of 8 MiB: at 2 MiB/s there is a middle to its upload.
LIMIT_MIBS = 2
_CRASH = "#!/bin/sh\necho c >/proc/sysrq-trigger\n"
_DIGEST = "#!/bin/sh\nsha256sum /var/crash/*/dump.* | cut -d ' ' -f 1\n"
_LEFT = "#!/bin/sh\nfind /var/crash -name 'dump*'\n"
DUMP_SECONDS = 600
COLLECT_SECONDS = 900


@dataclass
class Upload:
    """A dump in a guest behind an instance of a deployed stack, and the execution that fetches it."""

    account: LabAccount
    guest: QemuGuest
    bucket: str
    execution: str
    digest: str

    def parts_held(self) -> int:
        """How many parts of the upload under way S3 has."""
        s3 = self.account.client("s3")
        uploads = s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        return sum(
            len(s3.list_parts(Bucket=self.bucket, Key=each["Key"], UploadId=each["UploadId"]).get("Parts", []))
            for each in uploads
        )

    def digest_of_object(self, key: str) -> str:
        body = self.account.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return hashlib.sha256(body).hexdigest()


@pytest.fixture
def upload(armed_state: Path, tmp_path: Path) -> Iterator[Upload]:
    with (
        LabAccount() as account,
        restored(armed_state, tmp_path / "guest", s3_port=account.instance_port) as guest,
    ):
        _crash(guest)
        settings = {"uploadLimitMibs": LIMIT_MIBS}
        outputs = deploy_hangdump(account, lambda: synthesize_for_lab(tmp_path / "cdk.out", settings))
        instance_id = account.add_instance(guest, tags={"hangdump:enrolled": "true"})
        # The agent answers before the dump volume is mounted.
        digest = wait_until(lambda: _said(guest, _DIGEST), what="the dump is on its volume", timeout_seconds=120)
        execution = account.start_execution("CollectVmcore", {"instanceId": instance_id})
        yield Upload(account, guest, outputs["VmcoreBucketName"], execution, digest)


def _crash(guest: QemuGuest) -> None:
    baseline = len(guest.console())
    guest.spawn(_CRASH)
    wait_until(lambda: "saved vmcore" in guest.console()[baseline:], what="vmcore saved", timeout_seconds=DUMP_SECONDS)
    guest.wait_until_answers(DUMP_SECONDS)


def _said(guest: QemuGuest, script: str) -> str:
    return guest.run(script, environment={}, timeout_seconds=120).stdout.strip()


def test_instance_that_is_reset_in_mid_upload_ends_with_the_identical_object(upload: Upload) -> None:
    boot = upload.guest.boot_id()
    wait_until(upload.parts_held, what="the first part is in S3", timeout_seconds=300, interval_seconds=0.2)
    upload.guest.reset()

    ended: dict[str, Any] = upload.account.wait_for_execution(upload.execution, timeout_seconds=COLLECT_SECONDS)

    assert ended["status"] == "SUCCEEDED", (ended, _said(upload.guest, _LEFT))
    assert ended["output"]["verdict"] == "captured"
    assert upload.digest_of_object(ended["output"]["keys"]["vmcore"]) == upload.digest
    assert upload.guest.boot_id() != boot
    assert _said(upload.guest, _LEFT) == ""
