"""A twin's dump volume goes only when our record says that it is the twin's, and nothing of value is on it."""

from typing import Any

import pytest

from lambdas.drill.remove_volume import why_kept
from lambdas.provision.choose_volume import DumpVolume


def volume(**known: Any) -> DumpVolume:
    free = {
        "volume_id": "vol-0123456789abcdef0",
        "state": "available",
        "availability_zone": "eu-west-1a",
        "size_gib": 8,
        "is_encrypted": True,
        "is_ours": True,
    }
    return DumpVolume(**{**free, **known})


def test_an_empty_volume_of_the_twin_goes() -> None:
    assert why_kept(volume(), is_empty=True) == ""


@pytest.mark.parametrize(
    ("known", "is_empty", "why"),
    [
        pytest.param({}, False, "it may hold the only dump of the drill", id="a dump may be on it"),
        pytest.param({"is_ours": False}, True, "ProvisionDumpVolume did not create it for the twin", id="only tagged"),
        pytest.param({"attached_to": "i-1"}, True, "it is attached to i-1", id="attached"),
    ],
)
def test_any_other_volume_stays_with_its_reason(known: dict[str, Any], is_empty: bool, why: str) -> None:
    assert why_kept(volume(**known), is_empty=is_empty) == why
