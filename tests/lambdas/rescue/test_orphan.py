"""When the dump volume that a rescue has read may be deleted."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lambdas.provision.volume_record import VolumeRecord
from lambdas.rescue.orphan import Copied, Original, why_keep
from tests.lambdas.account import NOW

HOST, POINT, STAMP = "i-0123456789abcdef0", "/mnt/hangdump-rescue", "202611230400"
RECORD = VolumeRecord(volume_id="vol-1", instance_id=HOST, group="web")
TAGS = {"hangdump:stack": "Hangdump", "hangdump:instance-id": HOST, "Name": f"hangdump {HOST}"}
ORIGINAL = Original(state="available", created_at=NOW - timedelta(days=1), tags=TAGS)
EMPTY = Copied(is_empty=True, mount_point=POINT)
DEBIAN = (f"{STAMP}/dmesg.{STAMP}", f"{STAMP}/dump.{STAMP}")
RESCUED = Copied(
    is_empty=False,
    mount_point=POINT,
    file_count=2,
    files=DEBIAN,
    vmcore_path=f"{POINT}/{STAMP}/dump.{STAMP}",
    is_rescued=True,
)
REDHAT = "127.0.0.1-2026-11-23-04:00:00"


def judged(copied: Copied, original: Original = ORIGINAL, record: VolumeRecord | None = RECORD) -> str:
    return why_keep(copied, original, record, instance_id=HOST, now=NOW)


def with_files(*files: str, vmcore: str = f"{STAMP}/dump.{STAMP}") -> Copied:
    return replace(RESCUED, files=files, file_count=len(files), vmcore_path=f"{POINT}/{vmcore}")


@pytest.mark.parametrize(
    "copied",
    [
        pytest.param(EMPTY, id="empty"),
        pytest.param(RESCUED, id="Debian"),
        pytest.param(
            with_files(
                *(f"{REDHAT}/{name}" for name in ("kexec-dmesg.log", "vmcore", "vmcore-dmesg.txt")),
                vmcore=f"{REDHAT}/vmcore",
            ),
            id="RHEL",
        ),
        pytest.param(
            with_files(
                *(f"2026-11-23-04-00/{name}" for name in ("README.txt", "dmesg.txt", "vmcore")),
                vmcore="2026-11-23-04-00/vmcore",
            ),
            id="SLES",
        ),
    ],
)
def test_deletes_a_volume_with_nothing_of_value(copied: Copied) -> None:
    assert judged(copied) == ""


@pytest.mark.parametrize(
    ("copied", "why"),
    [
        pytest.param(replace(RESCUED, is_rescued=False), "not proven", id="vmcore not proven in S3"),
        pytest.param(replace(RESCUED, is_rescued=False, vmcore_path=""), "not empty", id="no vmcore, but files"),
        pytest.param(with_files(*DEBIAN, "notes.txt"), "notes.txt", id="a file beside the dumps"),
        pytest.param(with_files(*DEBIAN, f"{STAMP}/core.1"), "core.1", id="a file beside the dump"),
        pytest.param(with_files(*DEBIAN, "202611220400/dump.202611220400"), "0400", id="an older dump"),
        pytest.param(with_files(*DEBIAN, "202611220400/dmesg.202611220400"), "dmesg", id="an older dmesg"),
        pytest.param(replace(RESCUED, file_count=25), "25 files", id="more files than are named"),
        pytest.param(with_files(DEBIAN[0]), "not all are known", id="without the vmcore itself"),
    ],
)
def test_keeps_a_volume_with_something_of_value(copied: Copied, why: str) -> None:
    assert why in judged(copied)


@pytest.mark.parametrize(
    ("original", "record", "why"),
    [
        pytest.param(ORIGINAL, None, "no record", id="not recorded"),
        pytest.param(ORIGINAL, replace(RECORD, instance_id="i-other"), "no record", id="recorded for another"),
        pytest.param(ORIGINAL, replace(RECORD, group=""), "no Auto Scaling group", id="of a pet"),
        pytest.param(replace(ORIGINAL, state="in-use"), RECORD, "in-use", id="attached"),
        pytest.param(replace(ORIGINAL, created_at=NOW - timedelta(minutes=59)), RECORD, "younger", id="young"),
        pytest.param(replace(ORIGINAL, tags=TAGS | {"retain": "no"}), RECORD, "Retain", id="to be kept"),
        pytest.param(replace(ORIGINAL, tags=TAGS | {"hangdump:stack": "x"}), RECORD, "tags", id="of another stack"),
        pytest.param(replace(ORIGINAL, tags=TAGS | {"hangdump:instance-id": "i-x"}), RECORD, "tags", id="retagged"),
    ],
)
def test_keeps_what_is_not_surely_the_volume_of_a_gone_member(
    original: Original, record: VolumeRecord | None, why: str
) -> None:
    assert why in judged(EMPTY, original, record)
