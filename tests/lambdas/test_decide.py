"""The rules of the interrupt, one by one, and as a whole: in doubt, never."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.respond_to_hang.decide import Evidence, Policy, decide, is_probe_needed

NOW = 1_795_406_400

HUNG = Evidence(
    now_epoch=NOW,
    is_instance_known=True,
    is_enrolled=True,
    is_ready=True,
    instance_state="running",
    hypervisor="nitro",
    architectures=("x86_64",),
    system_status="ok",
    attached_ebs_status="ok",
    instance_status="impaired",
    is_alarm_on_status_check=True,
    is_probe_answered=False,
    last_interrupt_epoch=0,
    interrupts_in_window=0,
)
POLICY = Policy(cooldown_seconds=3600, fleet_budget=3, is_dry_run=False)
BY_HAND = replace(POLICY, needs_second_signal=False)


def changed(evidence: Evidence = HUNG, /, **facts: Any) -> Evidence:
    return replace(evidence, **facts)


def test_interrupts_a_hung_instance_that_is_enrolled_and_ready() -> None:
    decision = decide(HUNG, POLICY)
    assert (decision.action, decision.reason) == ("interrupt", "hang-confirmed")


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        pytest.param(changed(is_instance_known=False), "instance-unknown", id="unknown"),
        pytest.param(changed(is_enrolled=False), "not-enrolled", id="not-enrolled"),
        pytest.param(changed(is_ready=False), "not-ready", id="not-ready"),
        pytest.param(changed(instance_state="stopping"), "not-running", id="stopping"),
        pytest.param(changed(hypervisor="xen"), "unsupported-hypervisor", id="xen"),
        pytest.param(changed(architectures=("arm64",)), "unsupported-architecture", id="graviton"),
        pytest.param(changed(architectures=("x86_64_mac",)), "unsupported-architecture", id="mac"),
        pytest.param(changed(system_status="impaired"), "system-check-failed", id="host-impaired"),
        pytest.param(changed(system_status="insufficient-data"), "system-check-failed", id="host-in-doubt"),
        pytest.param(changed(system_status="not-applicable"), "system-check-failed", id="host-unchecked"),
        pytest.param(changed(attached_ebs_status="impaired"), "ebs-check-failed", id="disk-impaired"),
        pytest.param(changed(attached_ebs_status="insufficient-data"), "ebs-check-failed", id="disk-in-doubt"),
        pytest.param(changed(instance_status="ok"), "status-check-passes", id="check-recovered"),
        pytest.param(changed(instance_status="initializing"), "evidence-missing", id="just-started"),
        pytest.param(changed(instance_status="insufficient-data"), "evidence-missing", id="check-in-doubt"),
        pytest.param(changed(is_probe_answered=True), "instance-responds", id="responds"),
        pytest.param(changed(last_interrupt_epoch=NOW - 1), "cooldown", id="interrupted-just-now"),
        pytest.param(changed(last_interrupt_epoch=NOW - 3600), "cooldown", id="cooldown-at-its-end"),
        pytest.param(changed(interrupts_in_window=3), "fleet-budget-spent", id="budget-spent"),
    ],
)
def test_refuses(evidence: Evidence, reason: str) -> None:
    decision = decide(evidence, POLICY)
    assert (decision.action, decision.reason) == ("refuse", reason)
    assert decision.detail


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(changed(hypervisor="bare-metal"), id="bare-metal"),
        pytest.param(changed(architectures=("i386", "x86_64")), id="also-32-bit"),
        pytest.param(changed(attached_ebs_status="not-applicable"), id="type-without-the-disk-check"),
        pytest.param(changed(is_alarm_on_status_check=False, instance_status="ok"), id="own-metric-while-arp-answers"),
        pytest.param(changed(last_interrupt_epoch=NOW - 3601), id="cooldown-over"),
        pytest.param(changed(interrupts_in_window=2), id="budget-not-quite-spent"),
    ],
)
def test_interrupts_all_the_same(evidence: Evidence) -> None:
    assert decide(evidence, POLICY).action == "interrupt"


FACTS = [
    field.name
    for field in fields(Evidence)
    if field.name not in ("now_epoch", "notes") and getattr(HUNG, field.name) is not None
]


@pytest.mark.parametrize("fact", FACTS)
def test_refuses_when_a_fact_is_missing_and_says_why_it_is(fact: str) -> None:
    decision = decide(changed(**{fact: None}, notes=("DescribeThings: it timed out.",)), POLICY)
    assert (decision.action, decision.reason) == ("refuse", "evidence-missing")
    assert "it timed out" in decision.detail


def test_a_human_waives_the_second_signal_and_nothing_else() -> None:
    unasked = changed(instance_status=None, is_alarm_on_status_check=None, is_probe_answered=None)
    assert decide(unasked, BY_HAND).reason == "requested"
    for refused in ("is_enrolled", "is_ready"):
        assert decide(changed(unasked, **{refused: False}), BY_HAND).action == "refuse"
    assert decide(changed(unasked, system_status="impaired"), BY_HAND).reason == "system-check-failed"
    assert decide(changed(unasked, last_interrupt_epoch=NOW - 5), BY_HAND).reason == "cooldown"
    assert decide(changed(unasked, interrupts_in_window=3), BY_HAND).reason == "fleet-budget-spent"


def test_dry_run_replaces_the_interrupt_but_no_refusal() -> None:
    dry = replace(POLICY, is_dry_run=True)
    assert decide(HUNG, dry).action == "dry-run"
    assert decide(changed(is_enrolled=False), dry).action == "refuse"


def test_a_budget_of_nothing_interrupts_nobody() -> None:
    assert decide(HUNG, replace(POLICY, fleet_budget=0)).reason == "fleet-budget-spent"


@pytest.mark.parametrize("fact", [name for name in FACTS if name != "is_probe_answered"])
def test_no_probe_when_something_cheaper_refuses(fact: str) -> None:
    unprobed = changed(is_probe_answered=None)
    assert is_probe_needed(unprobed, POLICY)
    assert not is_probe_needed(changed(unprobed, **{fact: None}), POLICY)
    assert not is_probe_needed(unprobed, BY_HAND)


STATUSES = st.sampled_from([None, "ok", "impaired", "insufficient-data", "initializing", "not-applicable", "", "OK"])
FLAG = st.sampled_from([None, False, True])
ANYTHING = st.builds(
    Evidence,
    now_epoch=st.just(NOW),
    is_instance_known=FLAG,
    is_enrolled=FLAG,
    is_ready=FLAG,
    instance_state=st.sampled_from([None, "running", "stopped", "pending", "terminated", "Running"]),
    hypervisor=st.sampled_from([None, "nitro", "xen", "bare-metal", "unknown"]),
    architectures=st.sampled_from([None, (), ("arm64",), ("x86_64",), ("i386", "x86_64")]),
    system_status=STATUSES,
    attached_ebs_status=STATUSES,
    instance_status=STATUSES,
    is_alarm_on_status_check=FLAG,
    is_probe_answered=FLAG,
    last_interrupt_epoch=st.one_of(st.none(), st.just(0), st.integers(NOW - 7200, NOW + 60)),
    interrupts_in_window=st.one_of(st.none(), st.integers(0, 5)),
)
# Mostly true, so that the interesting corners (everything but one) are found often.
NEARLY_HUNG = st.builds(
    lambda evidence, kept: replace(evidence, **{name: getattr(HUNG, name) for name in kept}),
    ANYTHING,
    st.sets(st.sampled_from(FACTS), min_size=len(FACTS) - 2),
)
POLICIES = st.builds(
    Policy,
    cooldown_seconds=st.integers(0, 7200),
    fleet_budget=st.integers(0, 4),
    is_dry_run=st.booleans(),
    needs_second_signal=st.booleans(),
)


@given(evidence=st.one_of(ANYTHING, NEARLY_HUNG), policy=POLICIES)
def test_whatever_the_evidence_an_interrupt_has_every_safety_fact(evidence: Evidence, policy: Policy) -> None:
    if decide(evidence, policy).action != "interrupt":
        return
    assert not policy.is_dry_run
    assert evidence.is_instance_known is True
    assert evidence.is_enrolled is True
    assert evidence.is_ready is True
    assert evidence.instance_state == "running"
    assert evidence.hypervisor in ("nitro", "bare-metal")
    assert "x86_64" in (evidence.architectures or ())
    assert evidence.system_status == "ok"
    assert evidence.attached_ebs_status in ("ok", "not-applicable")
    assert evidence.interrupts_in_window is not None
    assert evidence.interrupts_in_window < policy.fleet_budget
    assert evidence.last_interrupt_epoch is not None
    last = evidence.last_interrupt_epoch
    assert last == 0 or NOW - last > policy.cooldown_seconds
    if policy.needs_second_signal:
        assert evidence.is_probe_answered is False
        assert evidence.instance_status in ("ok", "impaired")
        assert evidence.is_alarm_on_status_check is not None
        assert not (evidence.is_alarm_on_status_check and evidence.instance_status != "impaired")


@given(evidence=st.one_of(ANYTHING, NEARLY_HUNG), policy=POLICIES)
def test_every_refusal_says_something(evidence: Evidence, policy: Policy) -> None:
    decision = decide(evidence, policy)
    assert decision.detail
    assert decision.reason
