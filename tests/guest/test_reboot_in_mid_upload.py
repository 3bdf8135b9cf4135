"""An instance that goes down while its vmcore is on the way: a real kernel and its dump, and the deployed stack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.guest import wait_until
from tests.guest.region import Region, digest_of, hangdump_region

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1800)]

# The dump has 30 MB and more, in parts of 8 MiB: at 2 MiB/s there is a middle to its upload.
SETTINGS = {"uploadLimitMibs": 2}
DUMP_SECONDS = 600


@pytest.fixture
def region(armed_state: Path, guest_image: Path, tmp_path: Path) -> Iterator[Region]:
    with hangdump_region(tmp_path, armed=armed_state, image=guest_image, settings=SETTINGS) as region:
        yield region


def parts_held(region: Region) -> int:
    """How many parts of the upload under way S3 has."""
    s3 = region.account.client("s3")
    uploads = s3.list_multipart_uploads(Bucket=region.bucket).get("Uploads", [])
    return sum(
        len(s3.list_parts(Bucket=region.bucket, Key=each["Key"], UploadId=each["UploadId"]).get("Parts", []))
        for each in uploads
    )


def test_instance_that_is_reset_in_mid_upload_ends_with_the_identical_object(region: Region, tmp_path: Path) -> None:
    with region.victim() as victim:
        victim.guest.spawn("#!/bin/sh\necho c >/proc/sysrq-trigger\n")
        wait_until(lambda: "saved vmcore" in victim.news(), what="vmcore saved", timeout_seconds=DUMP_SECONDS)
        victim.guest.wait_until_answers(DUMP_SECONDS)
        # The agent answers before the dump volume is mounted.
        digest = wait_until(
            lambda: victim.run("sha256sum /var/crash/*/dump.* | cut -d ' ' -f 1 || true"),
            what="the dump is on its volume",
            timeout_seconds=120,
        )
        boot = victim.guest.boot_id()
        execution = region.account.start_execution("CollectVmcore", {"instanceId": victim.instance_id})
        wait_until(
            lambda: parts_held(region), what="the first part is in S3", timeout_seconds=300, interval_seconds=0.2
        )
        victim.guest.reset()

        ended = region.wait_for(execution)

        assert ended["status"] == "SUCCEEDED", (ended, victim.news()[-3000:])
        assert ended["output"]["verdict"] == "captured"
        assert digest_of(region.download(ended["output"]["keys"]["vmcore"], tmp_path / "vmcore")) == digest
        assert victim.guest.boot_id() != boot
        assert victim.run("find /var/crash -name 'dump*'") == ""
