"""A makedumpfile that is too old for the kernel is named, with the room that its dump needs."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.ssm_documents.fake_root import MIB, VOLUME_ID, FakeRoot
from tests.ssm_documents.spoils import run_kernel

CODE = "makedumpfile-too-old"


def _findings(root: FakeRoot) -> dict[str, dict[str, Any]]:
    findings = root.run("check_kdump", volumeId=VOLUME_ID).result["findings"]
    return {finding["code"]: finding for finding in findings}


def _with_pair(root: FakeRoot, release: str, version: str) -> FakeRoot:
    run_kernel(root, release)
    root.write("makedumpfile-version", f"{version}\n")
    return root


@pytest.mark.parametrize(
    ("release", "version", "mended_in"),
    [
        ("6.12.79-101.147.amzn2023.x86_64", "1.7.6", "1.7.7"),
        ("6.18.3-default", "1.7.2", "1.7.7"),
        ("6.10.0-cloud-amd64", "1.7.5", "1.7.6"),
        ("6.2.0-aws", "1.7.2", "1.7.3"),
        ("6.9.12-aws", "1.7.2++", "1.7.3"),
    ],
)
def test_pair_is_named_with_the_version_that_mends_it(
    armed_root: FakeRoot, release: str, version: str, mended_in: str
) -> None:
    finding = _findings(_with_pair(armed_root, release, version))[CODE]
    assert finding["severity"] == "note"
    assert f"makedumpfile {version.rstrip('+')} with Linux {release} " in finding["observed"]
    assert f"may need {985 * 9 // 10} MiB" in finding["observed"]
    assert f"to {mended_in} or later" in finding["remedy"]


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("6.12.41-cloud-amd64", "1.7.7"),
        ("6.12.41-cloud-amd64", "1.10.0"),
        ("6.9.12-aws", "1.7.3"),
        ("6.1.170-cloud-amd64", "1.7.2"),
        ("6.12.0-55.9.1.el10_0.x86_64", "1.7.6"),
    ],
    ids=["mended", "much-newer", "before-6.10", "before-6.2", "mended-by-the-distribution"],
)
def test_pair_that_fits_is_no_finding(armed_root: FakeRoot, release: str, version: str) -> None:
    assert _findings(_with_pair(armed_root, release, version)) == {}


def test_room_for_all_of_memory_is_needed_then(armed: Callable[[str], FakeRoot]) -> None:
    root = _with_pair(armed("debian12"), "6.12.41-cloud-amd64", "1.7.6")
    root.write("file-systems", f"/ {8 << 30} {4 << 30}\n/var/crash {8 << 30} {500 * MIB}\n")
    assert set(_findings(root)) == {"dump-target-too-small", CODE}
