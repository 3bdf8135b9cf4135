"""One bug has one signature wherever it strikes; two bugs that only look alike have two."""

import pytest

from lambdas.triage import triage
from tests.lambdas.triage.signature_pairs import DIFFERENT, SAME, Pair


@pytest.mark.parametrize("pair", SAME, ids=lambda pair: pair.name)
def test_one_bug_has_one_signature(pair: Pair) -> None:
    assert triage(pair.first).signature == triage(pair.second).signature != ""


@pytest.mark.parametrize("pair", DIFFERENT, ids=lambda pair: pair.name)
def test_two_bugs_have_two_signatures(pair: Pair) -> None:
    signatures = {triage(pair.first).signature, triage(pair.second).signature}
    assert len(signatures) == 2
    assert "" not in signatures


@pytest.mark.parametrize("pair", DIFFERENT, ids=lambda pair: pair.name)
def test_bugs_that_look_alike_are_of_one_class(pair: Pair) -> None:
    """Otherwise the class alone would tell them apart."""
    assert triage(pair.first).crash_class == triage(pair.second).crash_class
