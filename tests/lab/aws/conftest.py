"""Accounts for tests of the emulation: one for each module, since starting takes half a second."""

from collections.abc import Iterator

import pytest

from lab.aws.account import LabAccount
from lab.aws.state import Clock


@pytest.fixture(scope="module")
def account() -> Iterator[LabAccount]:
    # A 60 s period takes 0.6 s; what is asynchronous takes 0.15 s.
    with LabAccount(time_scale=0.01, settle_seconds=0.15) as started:
        yield started


@pytest.fixture
def unhurried(account: LabAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asynchronous takes long enough to be seen on a busy computer."""
    monkeypatch.setattr(account._state, "clock", Clock(0.01, 3.0))
