"""An instance that goes down while its vmcore is on the way: a real kernel, its disk, and the deployed stack."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.account import LabAccount
from lab.deployment import deploy_hangdump, synthesize_for_lab
from lab.guest import QemuGuest, wait_until
from lab.guest.saved_state import restored

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1800)]

# Six parts. At 4 MiB/s their upload takes twelve seconds, so that there is a middle to it.
DUMP_MIB = 48
LIMIT_MIBS = 4
_DUMP = "/var/crash/202611230000/dump.202611230000"
# As makedumpfile's flattened dumps begin and end; older than the boot, as a dump is.
_WRITE = f"""#!/bin/bash
set -eu
mkdir -p {_DUMP.rpartition("/")[0]}
{{
  printf makedumpfile
  head -c {DUMP_MIB - 1}M /dev/urandom
  printf '\\377%.0s' {{1..16}}
}} >{_DUMP}
touch -d '2 days ago' {_DUMP}
sync
sha256sum <{_DUMP} | cut -d ' ' -f 1
"""
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

    def is_kept(self) -> bool:
        return self.guest.run(f"#!/bin/sh\ntest -e {_DUMP}\n", environment={}, timeout_seconds=60).exit_code == 0


@pytest.fixture
def upload(armed_state: Path, tmp_path: Path) -> Iterator[Upload]:
    with (
        LabAccount() as account,
        restored(armed_state, tmp_path / "guest", s3_port=account.instance_port) as guest,
    ):
        settings = {"uploadLimitMibs": LIMIT_MIBS}
        outputs = deploy_hangdump(account, lambda: synthesize_for_lab(tmp_path / "cdk.out", settings))
        instance_id = account.add_instance(guest, tags={"hangdump:enrolled": "true"})
        digest = guest.run(_WRITE, environment={}, timeout_seconds=120).stdout.strip()
        execution = account.start_execution("CollectVmcore", {"instanceId": instance_id})
        yield Upload(account, guest, outputs["VmcoreBucketName"], execution, digest)


def test_instance_that_is_reset_in_mid_upload_ends_with_the_identical_object(upload: Upload) -> None:
    boot = upload.guest.boot_id()
    held = wait_until(upload.parts_held, what="the first part is in S3", timeout_seconds=300, interval_seconds=0.2)
    assert held < 6
    upload.guest.reset()

    ended: dict[str, Any] = upload.account.wait_for_execution(upload.execution, timeout_seconds=COLLECT_SECONDS)

    assert ended["status"] == "SUCCEEDED", (ended, upload.is_kept())
    assert ended["output"]["verdict"] == "captured"
    assert upload.digest_of_object(ended["output"]["keys"]["vmcore"]) == upload.digest
    assert upload.guest.boot_id() != boot
    assert not upload.is_kept()
