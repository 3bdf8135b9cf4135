"""What a drill cost at most, and what is not known of it."""

import pytest

from hangdump_cli.drill_cost import DrillCost

# 20 minutes of a twin with 48 GiB, and a vmcore of 10 GB.
PROOF = {
    "instanceType": "m5.large",
    "instanceSeconds": 1200,
    "volumeGibSeconds": 1200 * 48,
    "vmcoreBytes": 10_000_000_000,
}


def test_the_instance_costs_what_its_user_says_and_the_volumes_their_list_price() -> None:
    cost = DrillCost.of(PROOF, hourly_usd=0.096)
    assert cost.instance_usd == pytest.approx(0.032)
    assert cost.volumes_usd == pytest.approx(16 / 730 * 0.08)
    assert cost.stored_monthly_usd == pytest.approx(0.23)
    words = cost.in_words()
    assert words["Used"] == "at most 0.33 hours of m5.large and 16.0 GiB-hours of gp3"
    # Rounded up.
    assert words["Cost"] == (
        "at most 0.04 USD for the instance, 0.01 USD for the volumes, 0.23 USD a month for the vmcore"
    )


def test_without_a_price_the_instance_has_no_cost() -> None:
    cost = DrillCost.of(PROOF, hourly_usd=None)
    assert cost.as_json()["instanceUsd"] is None
    assert "--hourly-usd" in cost.in_words()["Cost"]


def test_volumes_that_were_gone_when_they_were_asked_for_are_not_free() -> None:
    cost = DrillCost.of({**PROOF, "volumeGibSeconds": 0}, hourly_usd=1.0)
    assert cost.as_json()["volumesUsd"] is None
    assert "its volumes" in cost.in_words()["Used"]
    assert "volumes" not in cost.in_words()["Cost"]
