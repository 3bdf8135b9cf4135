"""The rules of the interrupt, one by one, and as a whole: in doubt, never."""

import random
from dataclasses import fields, replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.respond import timing_rules
from lambdas.respond.decision import Evidence, Policy
from lambdas.respond.timing_rules import LIMITS, PROOF, RULES, decide, is_probe_needed

NOW = 1_795_406_400
CONFIG = "0123456789abcdef"

HUNG = Evidence(
    now_epoch=NOW,
    is_instance_known=True,
    is_enrolled=True,
    is_disarmed=False,
    ready_epoch=NOW - 3600,
    ready_kernel="6.1.0-28-cloud-amd64",
    ready_config=CONFIG,
    instance_state="running",
    launched_epoch=NOW - 7200,
    availability_zone="eu-west-1a",
    auto_scaling_group="web",
    console_booted_epoch=NOW - 7100,
    console_kernel="6.1.0-28-cloud-amd64",
    is_booting=False,
    is_crash_kernel=False,
    console_ready_config="",
    console_lockups=0,
    console_hung_tasks=0,
    console_hung_task_scans=0,
    console_trouble_began_epoch=0,
    console_trouble_epoch=0,
    hypervisor="nitro",
    architectures=("x86_64",),
    system_status="ok",
    attached_ebs_status="ok",
    instance_status="impaired",
    impaired_epoch=NOW - 240,
    scheduled_events=(),
    impaired_in_zone=1,
    last_ping_epoch=NOW - 500,
    is_cloudwatch_read=True,
    ebs_writes_before=300,
    ebs_writes_after=0,
    is_out_of_credits=False,
    kill_switch="",
    mute="",
    maintenance_window="",
    rival_alarms=(),
    fired_rival_alarms=(),
    is_probe_answered=False,
    last_interrupt_epoch=0,
    interrupts_in_window=0,
    interrupts_in_zone=0,
    interrupts_in_group=0,
    open_incident="",
    missing_snapshot="",
)
POLICY = Policy(
    cooldown_seconds=3600,
    fleet_budget=3,
    zone_budget=2,
    group_budget=1,
    boot_grace_seconds=300,
    impaired_seconds=120,
    ping_seconds=300,
    ready_max_age_seconds=86_400,
    is_ready_across_boots=False,
    is_hypervisor_evidence_required=False,
    is_silence_interrupted=False,
    is_dry_run=False,
)
BY_HAND = replace(POLICY, is_requested=True)
# The instance check passes, as ARP is answered.
PASSES = replace(
    HUNG, instance_status="ok", impaired_epoch=0, impaired_in_zone=None, unheard_in_zone=1, overdue_in_zone=1
)
# It passes, but the kernel speaks of a hang.
SAYS = replace(
    PASSES,
    console_lockups=2,
    console_trouble_began_epoch=NOW - 200,
    console_trouble_epoch=NOW - 10,
    last_ping_epoch=NOW - 300,
)
HUNG_TASKS = replace(SAYS, console_lockups=0, console_hung_tasks=3, console_hung_task_scans=2)


def changed(evidence: Evidence = HUNG, /, **facts: Any) -> Evidence:
    return replace(evidence, **facts)


def test_interrupts_a_hung_instance_that_is_enrolled_and_ready() -> None:
    decision = decide(HUNG, POLICY)
    assert (decision.action, decision.reason) == ("interrupt", "kernel-deaf")


REFUSALS = [
    pytest.param(changed(is_instance_known=False), "instance-unknown", id="unknown"),
    pytest.param(changed(is_enrolled=False), "not-enrolled", id="not-enrolled"),
    pytest.param(changed(is_disarmed=True), "disarmed", id="last-dump-showed-no-hang"),
    pytest.param(changed(ready_epoch=0), "not-ready", id="not-ready"),
    pytest.param(changed(ready_epoch=NOW - 86_401), "ready-stale", id="ready-long-ago"),
    pytest.param(changed(ready_epoch=NOW + 61), "ready-stale", id="ready-in-the-future"),
    pytest.param(changed(launched_epoch=NOW - 3599), "ready-stale", id="started-since-ready"),
    pytest.param(changed(console_booted_epoch=NOW - 3599), "ready-stale", id="rebooted-since-ready"),
    pytest.param(changed(console_kernel="6.1.0-31-cloud-amd64"), "ready-stale", id="another-kernel"),
    pytest.param(changed(launched_epoch=NOW - 299), "boot-grace", id="just-launched"),
    pytest.param(changed(console_booted_epoch=NOW - 299), "boot-grace", id="just-rebooted"),
    pytest.param(changed(console_booted_epoch=NOW + 30), "boot-grace", id="booted-by-a-fast-clock"),
    pytest.param(changed(is_booting=True), "boot-grace", id="boots"),
    pytest.param(changed(is_crash_kernel=True), "dump-under-way", id="dumps-already"),
    pytest.param(changed(kill_switch="The parameter is 'off'."), "kill-switch-off", id="switched-off"),
    pytest.param(changed(kill_switch=None), "kill-switch-unreadable", id="switch-unread"),
    pytest.param(changed(mute="its actions are disabled"), "alarm-muted", id="muted"),
    pytest.param(changed(maintenance_window="sat 02:00-04:00"), "maintenance-window", id="maintenance"),
    pytest.param(
        changed(rival_alarms=("boot: reboot",), fired_rival_alarms=("boot: reboot",)),
        "other-alarm-acts",
        id="rival",
    ),
    pytest.param(changed(instance_state="stopping"), "not-running", id="stopping"),
    pytest.param(changed(hypervisor="xen"), "unsupported-hypervisor", id="xen"),
    pytest.param(changed(architectures=("arm64",)), "unsupported-architecture", id="graviton"),
    pytest.param(changed(architectures=("x86_64_mac",)), "unsupported-architecture", id="mac"),
    pytest.param(changed(system_status="impaired"), "system-check-failed", id="host-impaired"),
    pytest.param(changed(system_status="insufficient-data"), "system-check-failed", id="host-in-doubt"),
    pytest.param(changed(system_status="not-applicable"), "system-check-failed", id="host-unchecked"),
    pytest.param(changed(attached_ebs_status="impaired"), "ebs-check-failed", id="disk-impaired"),
    pytest.param(changed(attached_ebs_status="insufficient-data"), "ebs-check-failed", id="disk-in-doubt"),
    pytest.param(changed(PASSES, last_ping_epoch=NOW - 60), "status-check-passes", id="check-recovered"),
    pytest.param(changed(impaired_epoch=NOW - 119), "hang-too-young", id="failed-once"),
    pytest.param(changed(PASSES, last_ping_epoch=NOW - 721), "suspected-hang", id="silent-alone"),
    pytest.param(changed(PASSES, last_ping_epoch=NOW - 1_728_000), "agent-was-dead", id="agent-died-days-ago"),
    pytest.param(changed(PASSES, last_ping_epoch=0), "agent-was-dead", id="never-registered"),
    pytest.param(changed(last_ping_epoch=NOW - 240 - 721), "agent-was-dead", id="agent-died-before-the-onset"),
    pytest.param(
        changed(console_booted_epoch=NOW - 400, console_ready_config=CONFIG, last_ping_epoch=NOW - 461),
        "agent-was-dead",
        id="has-not-pinged-since-its-boot",
    ),
    pytest.param(
        changed(PASSES, console_booted_epoch=NOW - 3000, ready_epoch=NOW - 2000, last_ping_epoch=NOW - 3061),
        "agent-was-dead",
        id="silent-since-before-its-boot",
    ),
    pytest.param(changed(last_ping_epoch=NOW - 240 + 61), "instance-responds", id="pinged-after-the-onset"),
    pytest.param(changed(impaired_in_zone=3), "correlated-failure", id="three-in-the-zone"),
    pytest.param(
        changed(SAYS, unheard_in_zone=3, overdue_in_zone=3), "correlated-failure", id="three-agents-silent-together"
    ),
    pytest.param(
        changed(SAYS, unheard_in_zone=8, overdue_in_zone=3), "evidence-missing", id="three-agents-of-eight-are-due"
    ),
    pytest.param(changed(SAYS, unheard_in_zone=3, overdue_in_zone=1), "evidence-missing", id="two-agents-not-yet-due"),
    pytest.param(
        changed(PASSES, last_ping_epoch=NOW - 721, unheard_in_zone=8, overdue_in_zone=8),
        "correlated-failure",
        id="nothing-but-silence-and-three-agents-together",
    ),
    pytest.param(changed(scheduled_events=("system-reboot",)), "scheduled-event", id="scheduled-reboot"),
    pytest.param(changed(ebs_writes_after=150), "still-works", id="still-writes-half"),
    pytest.param(changed(ebs_writes_lately=150), "still-works", id="wrote-half-in-a-part-of-a-period"),
    pytest.param(changed(ebs_writes_before=None, ebs_writes_after=1), "still-works", id="writes-and-never-measured"),
    pytest.param(
        changed(ebs_writes_before=None, ebs_writes_after=None, ebs_writes_lately=1),
        "still-works",
        id="wrote-in-a-part-of-a-period-and-never-measured",
    ),
    pytest.param(
        changed(is_cloudwatch_read=False, ebs_writes_before=None, ebs_writes_after=None),
        "evidence-missing",
        id="writes-cannot-be-read",
    ),
    pytest.param(changed(last_interrupt_epoch=NOW - 60, is_probe_answered=None), "cooldown", id="hangs-again"),
    pytest.param(
        changed(PASSES, last_ping_epoch=NOW - 60, last_interrupt_epoch=NOW - 60),
        "status-check-passes",
        id="interrupted-just-now-and-well",
    ),
    pytest.param(
        changed(PASSES, last_ping_epoch=NOW - 721, ebs_writes_after=150), "still-works", id="silent-and-still-writes"
    ),
    pytest.param(changed(is_out_of_credits=True), "no-credits", id="out-of-credits"),
    pytest.param(changed(open_incident="20261123T030000Z-i-0"), "incident-open", id="incident-is-open"),
    pytest.param(changed(console_ready_config="fedcba9876543210"), "ready-stale", id="another-configuration"),
    pytest.param(changed(SAYS, console_trouble_epoch=NOW - 421), "status-check-passes", id="spoke-long-ago"),
    pytest.param(changed(SAYS, console_trouble_epoch=NOW + 121), "status-check-passes", id="speaks-tomorrow"),
    pytest.param(changed(SAYS, console_lockups=1), "status-check-passes", id="one-lockup"),
    pytest.param(changed(HUNG_TASKS, console_hung_task_scans=1), "status-check-passes", id="hung-tasks-of-one-scan"),
    pytest.param(changed(HUNG_TASKS, console_hung_tasks=2), "status-check-passes", id="two-hung-tasks"),
    pytest.param(
        changed(SAYS, console_trouble_began_epoch=NOW - 900, last_ping_epoch=NOW - 700),
        "instance-responds",
        id="pinged-after-the-kernel-spoke",
    ),
    pytest.param(changed(instance_status="initializing"), "evidence-missing", id="just-started"),
    pytest.param(changed(instance_status="insufficient-data"), "evidence-missing", id="check-in-doubt"),
    pytest.param(changed(is_probe_answered=True), "instance-responds", id="responds"),
    pytest.param(changed(last_interrupt_epoch=NOW - 1), "cooldown", id="interrupted-just-now"),
    pytest.param(changed(last_interrupt_epoch=NOW - 3600), "cooldown", id="cooldown-at-its-end"),
    pytest.param(changed(interrupts_in_window=3), "fleet-budget-spent", id="fleet-budget-spent"),
    pytest.param(changed(interrupts_in_zone=2), "zone-budget-spent", id="zone-budget-spent"),
    pytest.param(changed(interrupts_in_group=1), "group-budget-spent", id="group-budget-spent"),
    pytest.param(changed(availability_zone=""), "evidence-missing", id="zone-unknown"),
    pytest.param(changed(drill="monday", is_drill_open=False), "drill-spent", id="no-twin-or-interrupted-before"),
    pytest.param(changed(drill="monday", is_drill_open=None), "drill-spent", id="drill-not-read"),
    pytest.param(changed(missing_snapshot="snap-0a"), "not-ready", id="parked-volume-gone"),
    pytest.param(changed(missing_snapshot=None), "evidence-missing", id="parked-volume-not-looked-for"),
]


@pytest.mark.parametrize(("evidence", "reason"), REFUSALS)
def test_refuses(evidence: Evidence, reason: str) -> None:
    decision = decide(evidence, POLICY)
    assert (decision.action, decision.reason) == ("refuse", reason)
    assert decision.detail


@pytest.mark.parametrize("rule", [*RULES, *PROOF, *LIMITS], ids=lambda rule: rule.__name__.removeprefix("_"))
def test_without_any_one_of_the_rules_something_is_decided_wrongly(rule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, rules in (("RULES", RULES), ("PROOF", PROOF), ("LIMITS", LIMITS)):
        monkeypatch.setattr(timing_rules, name, tuple(each for each in rules if each is not rule))
    decided: list[Any] = [case.values for case in REFUSALS]
    assert any(decide(evidence, POLICY).reason != reason for evidence, reason in decided)


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(changed(hypervisor="bare-metal"), id="bare-metal"),
        pytest.param(changed(architectures=("i386", "x86_64")), id="also-32-bit"),
        pytest.param(changed(attached_ebs_status="not-applicable"), id="type-without-the-disk-check"),
        pytest.param(changed(impaired_epoch=NOW - 120), id="failed-twice"),
        pytest.param(changed(last_ping_epoch=NOW - 240 - 720), id="agent-lived-until-shortly-before"),
        pytest.param(changed(last_ping_epoch=NOW - 240 + 60), id="pinged-in-the-minute-of-the-onset"),
        pytest.param(changed(impaired_in_zone=2), id="two-in-the-zone"),
        pytest.param(changed(ebs_writes_after=149), id="writes-less-than-half"),
        pytest.param(changed(ebs_writes_before=None, ebs_writes_after=None), id="no-period-after-the-onset-yet"),
        pytest.param(SAYS, id="kernel-says-so-while-arp-answers"),
        pytest.param(
            changed(HUNG_TASKS, ebs_writes_before=None, ebs_writes_after=15), id="tasks-hang-and-never-measured"
        ),
        pytest.param(HUNG_TASKS, id="tasks-hang-while-arp-answers"),
        pytest.param(changed(SAYS, console_trouble_epoch=NOW + 120), id="guest-clock-is-ahead"),
        pytest.param(changed(SAYS, console_trouble_epoch=NOW - 420), id="guest-clock-is-behind"),
        pytest.param(changed(SAYS, unheard_in_zone=2, overdue_in_zone=2), id="two-agents-silent-together"),
        pytest.param(changed(ebs_writes_after=None, ebs_writes_lately=149), id="wrote-less-in-a-part-of-a-period"),
        pytest.param(
            changed(console_booted_epoch=NOW - 600, console_ready_config=CONFIG, console_kernel="6.1.0-31-cloud-amd64"),
            id="rebooted-since-ready-and-kdump-is-loaded",
        ),
        pytest.param(changed(last_interrupt_epoch=NOW - 3601), id="cooldown-over"),
        pytest.param(changed(interrupts_in_window=2, interrupts_in_zone=1), id="budgets-not-quite-spent"),
        pytest.param(changed(auto_scaling_group="", interrupts_in_group=5), id="in-no-group"),
        pytest.param(
            changed(ready_epoch=NOW - 86_400, launched_epoch=0, console_booted_epoch=0), id="ready-at-the-limit"
        ),
        pytest.param(changed(console_booted_epoch=0), id="console-dates-nothing"),
        pytest.param(changed(console_kernel=""), id="banner-scrolled-away"),
        pytest.param(changed(ready_kernel=""), id="kernel-was-not-noted"),
        pytest.param(
            changed(ready_epoch=NOW - 300, launched_epoch=NOW - 300, last_ping_epoch=NOW - 290),
            id="ready-in-the-second-of-its-boot",
        ),
        pytest.param(changed(rival_alarms=("boot: reboot",)), id="rival-has-not-fired"),
    ],
)
def test_interrupts_all_the_same(evidence: Evidence) -> None:
    assert decide(evidence, POLICY).action == "interrupt"


# CloudWatch may not have them yet; the console's time follows from its words; an absent configuration proves nothing.
MAY_BE_MISSING = (
    "ebs_writes_before",
    "ebs_writes_after",
    "ebs_writes_lately",
    "console_trouble_began_epoch",
    "console_trouble_epoch",
    "ready_config",
    "console_ready_config",
)
FACTS = [
    field.name
    for field in fields(Evidence)
    # A switch that cannot be read has a reason of its own.
    if field.name not in ("now_epoch", "notes", "kill_switch", *MAY_BE_MISSING)
    and getattr(HUNG, field.name) is not None
]


@pytest.mark.parametrize("fact", FACTS)
def test_refuses_when_a_fact_is_missing_and_says_why_it_is(fact: str) -> None:
    decision = decide(changed(**{fact: None}, notes=("DescribeThings: it timed out.",)), POLICY)
    assert (decision.action, decision.reason) == ("refuse", "evidence-missing")
    assert "it timed out" in decision.detail


@pytest.mark.parametrize("fact", ["unheard_in_zone", "overdue_in_zone"])
def test_refuses_while_it_is_unknown_whether_agents_fell_silent_together(fact: str) -> None:
    decision = decide(changed(SAYS, **{fact: None}, notes=("DescribeThings: it timed out.",)), POLICY)
    assert (decision.action, decision.reason) == ("refuse", "evidence-missing")
    assert "it timed out" in decision.detail


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        pytest.param(changed(last_ping_epoch=NOW - 240 - 955), "kernel-deaf", id="hung-before-its-next-ping"),
        pytest.param(changed(last_ping_epoch=NOW - 240 - 1921), "agent-was-dead", id="missed-two-pings-before"),
        pytest.param(changed(PASSES, last_ping_epoch=NOW - 1920), "status-check-passes", id="may-still-ping"),
        pytest.param(changed(PASSES, last_ping_epoch=NOW - 1921), "suspected-hang", id="has-missed-two-pings"),
        pytest.param(changed(PASSES, last_ping_epoch=NOW - 9601), "agent-was-dead", id="has-missed-ten-pings"),
    ],
)
def test_silence_is_counted_in_pings_of_the_agents_interval(evidence: Evidence, reason: str) -> None:
    assert decide(evidence, replace(POLICY, ping_seconds=900)).reason == reason


def test_a_human_waives_the_proof_mutes_and_windows_and_nothing_else() -> None:
    unasked = changed(instance_status=None, last_ping_epoch=None, is_probe_answered=None, mute=None)
    assert decide(unasked, BY_HAND).reason == "requested"
    assert (
        decide(changed(unasked, mute="disabled", maintenance_window="daily 00:00-24:00"), BY_HAND).reason == "requested"
    )
    assert decide(changed(unasked, is_enrolled=False), BY_HAND).reason == "not-enrolled"
    assert decide(changed(unasked, ready_epoch=0), BY_HAND).reason == "not-ready"
    assert decide(changed(unasked, is_crash_kernel=True), BY_HAND).reason == "dump-under-way"
    assert decide(changed(unasked, launched_epoch=NOW - 5), BY_HAND).reason == "boot-grace"
    assert decide(changed(unasked, fired_rival_alarms=("boot: reboot",)), BY_HAND).reason == "other-alarm-acts"
    assert decide(changed(unasked, interrupts_in_group=1), BY_HAND).reason == "group-budget-spent"
    assert decide(changed(unasked, system_status="impaired"), BY_HAND).reason == "system-check-failed"
    assert decide(changed(unasked, last_interrupt_epoch=NOW - 5), BY_HAND).reason == "cooldown"
    assert decide(changed(unasked, interrupts_in_window=3), BY_HAND).reason == "fleet-budget-spent"


def test_dry_run_replaces_the_interrupt_but_no_refusal() -> None:
    dry = replace(POLICY, is_dry_run=True)
    assert decide(HUNG, dry).action == "dry-run"
    assert decide(changed(is_enrolled=False), dry).action == "refuse"


def test_silence_alone_is_interrupted_only_where_the_setting_says_so() -> None:
    silent = changed(PASSES, last_ping_epoch=NOW - 800)
    bold = replace(POLICY, is_silence_interrupted=True)
    assert decide(silent, POLICY).reason == "suspected-hang"
    assert (decide(silent, bold).action, decide(silent, bold).reason) == ("interrupt", "silence")
    assert decide(changed(silent, last_ping_epoch=NOW - 3601), bold).reason == "agent-was-dead"


def test_the_class_that_is_whole_is_the_reason() -> None:
    assert [decide(each, POLICY).reason for each in (HUNG, SAYS)] == ["kernel-deaf", "kernel-says-so"]


def test_metrics_that_are_required_refuse_until_they_show_that_nothing_is_written() -> None:
    careful = replace(POLICY, is_hypervisor_evidence_required=True)
    assert decide(HUNG, careful).action == "interrupt"
    assert decide(changed(ebs_writes_after=None), careful).reason == "evidence-missing"
    assert decide(changed(ebs_writes_before=None), careful).action == "interrupt"


def test_readiness_does_not_age_and_outlives_boots_when_the_owner_says_so() -> None:
    trusting = replace(POLICY, ready_max_age_seconds=0, is_ready_across_boots=True)
    aged = changed(ready_epoch=NOW - 10**8, launched_epoch=NOW - 10**6)
    assert decide(aged, POLICY).reason == "ready-stale"
    assert decide(aged, trusting).action == "interrupt"
    assert decide(changed(aged, console_kernel="6.12.0"), trusting).reason == "ready-stale"


def test_a_budget_of_nothing_interrupts_nobody() -> None:
    assert decide(HUNG, replace(POLICY, fleet_budget=0)).reason == "fleet-budget-spent"


@pytest.mark.parametrize("fact", [name for name in FACTS if name != "is_probe_answered"])
def test_no_probe_when_something_cheaper_refuses(fact: str) -> None:
    unprobed = changed(is_probe_answered=None)
    assert is_probe_needed(unprobed, POLICY)
    assert not is_probe_needed(changed(unprobed, **{fact: None}), POLICY)
    assert not is_probe_needed(unprobed, BY_HAND)


STATUSES = (None, "ok", "impaired", "insufficient-data", "initializing", "not-applicable", "", "OK")
FLAG = (None, False, True)
# Around every limit of POLICIES and of the rules.
AGES = (
    *(-121, -120, -60, 0, 10, 60, 119, 120, 121, 240, 299, 300, 301, 420, 421, 500, 719, 720, 721),
    *(1500, 1920, 1921, 3599, 3601, 7201, 100_000),
)
EPOCH = (None, 0, *(NOW - age for age in AGES))
KERNEL = (None, "", "6.1.0-28-cloud-amd64", "6.1.0-31-cloud-amd64")
CONFIGS = (None, "", CONFIG, "fedcba9876543210")
WRITES = (None, 0, 1, 2, 150, 299, 300, 1000)
RIVALS = (None, (), ("boot: reboot",))
COUNT = (None, 0, 1, 2, 3, 4, 5)
VALUES: dict[str, tuple[Any, ...]] = {
    "is_instance_known": FLAG,
    "is_enrolled": FLAG,
    "is_disarmed": FLAG,
    "ready_epoch": EPOCH,
    "ready_kernel": KERNEL,
    "launched_epoch": EPOCH,
    "availability_zone": (None, "", "eu-west-1a"),
    "auto_scaling_group": (None, "", "web"),
    "drill": (None, "monday"),
    "is_drill_open": FLAG,
    "console_booted_epoch": EPOCH,
    "console_kernel": KERNEL,
    "is_booting": FLAG,
    "is_crash_kernel": FLAG,
    "mute": (None, "", "its actions are disabled"),
    "maintenance_window": (None, "", "daily 02:00-03:00"),
    "rival_alarms": RIVALS,
    "fired_rival_alarms": RIVALS,
    "instance_state": (None, "running", "stopped", "pending", "terminated", "Running"),
    "hypervisor": (None, "nitro", "xen", "bare-metal", "unknown"),
    "architectures": (None, (), ("arm64",), ("x86_64",), ("i386", "x86_64")),
    "system_status": STATUSES,
    "attached_ebs_status": STATUSES,
    "instance_status": STATUSES,
    "impaired_epoch": EPOCH,
    "scheduled_events": (None, (), ("system-reboot",)),
    "impaired_in_zone": COUNT,
    "unheard_in_zone": COUNT,
    "overdue_in_zone": COUNT,
    "last_ping_epoch": EPOCH,
    "ebs_writes_before": WRITES,
    "ebs_writes_after": WRITES,
    "ebs_writes_lately": WRITES,
    "is_cloudwatch_read": FLAG,
    "kill_switch": (None, "", "The parameter is 'off'."),
    "is_out_of_credits": FLAG,
    "ready_config": CONFIGS,
    "console_ready_config": CONFIGS,
    "console_lockups": COUNT,
    "console_hung_tasks": COUNT,
    "console_hung_task_scans": COUNT,
    "console_trouble_began_epoch": EPOCH,
    "console_trouble_epoch": EPOCH,
    "open_incident": (None, "", "20261123T030000Z-i-0"),
    "missing_snapshot": (None, "", "snap-0a"),
    "is_probe_answered": FLAG,
    "last_interrupt_epoch": EPOCH,
    "interrupts_in_window": COUNT,
    "interrupts_in_zone": COUNT,
    "interrupts_in_group": COUNT,
}
ANYTHING = st.builds(
    Evidence, now_epoch=st.just(NOW), **{name: st.sampled_from(values) for name, values in VALUES.items()}
)
PROVEN = (HUNG, SAYS, HUNG_TASKS)
# Mostly true, so that the interesting corners (everything but one) are found often.
NEARLY_HUNG = st.builds(
    lambda evidence, hung, kept: replace(evidence, **{name: getattr(hung, name) for name in kept}),
    ANYTHING,
    st.sampled_from(PROVEN),
    st.sets(st.sampled_from(FACTS), min_size=len(FACTS) - 2),
)
POLICIES = st.builds(
    Policy,
    cooldown_seconds=st.integers(0, 7200),
    fleet_budget=st.integers(0, 4),
    zone_budget=st.integers(0, 4),
    group_budget=st.integers(0, 4),
    boot_grace_seconds=st.integers(0, 7200),
    impaired_seconds=st.integers(0, 300),
    ping_seconds=st.sampled_from((300, 900, 3600)),
    ready_max_age_seconds=st.integers(0, 100_000),
    is_ready_across_boots=st.booleans(),
    is_hypervisor_evidence_required=st.booleans(),
    is_silence_interrupted=st.booleans(),
    is_dry_run=st.booleans(),
    is_requested=st.booleans(),
)


def assert_ready_and_booted(evidence: Evidence, policy: Policy) -> None:
    ready, launched, dated = evidence.ready_epoch, evidence.launched_epoch, evidence.console_booted_epoch
    assert ready is not None
    assert launched is not None
    assert dated is not None
    assert evidence.is_booting is False
    assert 0 < ready <= NOW + 60
    assert policy.ready_max_age_seconds == 0 or NOW - ready <= policy.ready_max_age_seconds
    is_proven_by_boot = bool(evidence.ready_config) and evidence.ready_config == evidence.console_ready_config
    for boot in (launched, dated):
        assert NOW - boot >= policy.boot_grace_seconds
        assert policy.is_ready_across_boots or ready >= boot or is_proven_by_boot
    kernels = (evidence.ready_kernel, evidence.console_kernel)
    assert None not in kernels
    assert len(set(kernels)) == 1 or "" in kernels or is_proven_by_boot
    configs = (evidence.ready_config, evidence.console_ready_config)
    assert len(set(configs)) == 1 or not all(configs)


def assert_budgets_left(evidence: Evidence, policy: Policy) -> None:
    assert evidence.availability_zone
    assert evidence.auto_scaling_group is not None
    fleet, zone, group = evidence.interrupts_in_window, evidence.interrupts_in_zone, evidence.interrupts_in_group
    assert fleet is not None
    assert zone is not None
    assert fleet < policy.fleet_budget
    assert zone < policy.zone_budget
    if evidence.auto_scaling_group:
        assert group is not None
        assert group < policy.group_budget


def is_deaf(evidence: Evidence, policy: Policy) -> bool:
    since = evidence.impaired_epoch or 0
    return evidence.instance_status == "impaired" and 0 < since <= NOW - policy.impaired_seconds


def is_said(evidence: Evidence) -> bool:
    is_hung = (evidence.console_hung_tasks or 0) >= 3 and (evidence.console_hung_task_scans or 0) >= 2
    is_now = NOW - 420 <= (evidence.console_trouble_epoch or 0) <= NOW + 120
    return is_now and (is_hung or (evidence.console_lockups or 0) >= 2)


def is_silent(evidence: Evidence, policy: Policy) -> bool:
    return NOW - (evidence.last_ping_epoch or 0) > 2 * policy.ping_seconds + 120


def assert_nothing_speaks_against_a_hang(evidence: Evidence, policy: Policy) -> None:
    assert evidence.scheduled_events == ()
    assert evidence.is_out_of_credits is False
    assert evidence.open_incident == ""
    assert evidence.last_ping_epoch
    silence = 2 * policy.ping_seconds + 120
    if evidence.impaired_epoch or is_said(evidence):
        onset = evidence.impaired_epoch or evidence.console_trouble_began_epoch or 0
        assert onset - silence <= evidence.last_ping_epoch <= onset + 60
    else:
        assert NOW - evidence.last_ping_epoch <= 5 * silence
    alike = evidence.impaired_in_zone if evidence.impaired_epoch else evidence.unheard_in_zone
    assert alike is not None
    assert alike < 3
    assert evidence.impaired_epoch or evidence.overdue_in_zone is not None
    before, after, lately = evidence.ebs_writes_before, evidence.ebs_writes_after, evidence.ebs_writes_lately
    assert evidence.is_cloudwatch_read is True
    if before is not None or not is_said(evidence):
        assert not after or after < (before or 0) / 2
        assert not lately or lately < (before or 0) / 2
    assert not policy.is_hypervisor_evidence_required or after is not None
    assert evidence.last_ping_epoch >= max(evidence.launched_epoch or 0, evidence.console_booted_epoch or 0) - 60


@given(evidence=st.one_of(ANYTHING, NEARLY_HUNG), policy=POLICIES)
def test_whatever_the_evidence_an_interrupt_has_every_safety_fact(evidence: Evidence, policy: Policy) -> None:
    assert_safe(evidence, policy)


def test_none_of_200_000_cases_near_a_hang_is_interrupted_without_every_safety_fact() -> None:
    """Without hypothesis, which takes a hundred times as long: a proven hang in which up to five facts differ."""
    chance = random.Random(2026)  # noqa: S311 - the same in each run
    policies = [
        replace(
            POLICY, is_silence_interrupted=silence, is_hypervisor_evidence_required=required, is_requested=requested
        )
        for silence, required, requested in product((False, True), repeat=3)
    ]
    interrupts = 0
    for _ in range(200_000):
        names = chance.sample(sorted(VALUES), chance.randint(0, 5))
        evidence = replace(chance.choice(PROVEN), **{name: chance.choice(VALUES[name]) for name in names})
        policy = chance.choice(policies)
        assert_safe(evidence, policy)
        interrupts += decide(evidence, policy).action == "interrupt"
    assert interrupts > 10_000


def test_every_fact_of_the_evidence_is_varied() -> None:
    assert set(VALUES) == {each.name for each in fields(Evidence)} - {"now_epoch", "notes"}


def assert_safe(evidence: Evidence, policy: Policy) -> None:
    """If it is interrupted, every fact of docs/safety.md holds."""
    if decide(evidence, policy).action != "interrupt":
        return
    assert not policy.is_dry_run
    assert evidence.is_instance_known is True
    assert evidence.is_enrolled is True
    assert not evidence.drill or evidence.is_drill_open is True
    assert evidence.instance_state == "running"
    assert evidence.hypervisor in ("nitro", "bare-metal")
    assert "x86_64" in (evidence.architectures or ())
    assert evidence.system_status == "ok"
    assert evidence.attached_ebs_status in ("ok", "not-applicable")
    assert evidence.is_crash_kernel is False
    assert evidence.kill_switch == ""
    assert evidence.fired_rival_alarms == ()
    assert_ready_and_booted(evidence, policy)
    assert_budgets_left(evidence, policy)
    assert evidence.last_interrupt_epoch is not None
    last = evidence.last_interrupt_epoch
    assert last == 0 or NOW - last > policy.cooldown_seconds
    assert evidence.open_incident == ""
    if not policy.is_requested:
        assert evidence.is_disarmed is False
        assert evidence.mute == evidence.maintenance_window == ""
        assert evidence.is_probe_answered is False
        assert_nothing_speaks_against_a_hang(evidence, policy)
        is_proven_by_silence = policy.is_silence_interrupted and is_silent(evidence, policy)
        is_ok = evidence.instance_status == "ok"
        assert is_deaf(evidence, policy) or (is_ok and (is_said(evidence) or is_proven_by_silence))


@given(evidence=st.one_of(ANYTHING, NEARLY_HUNG), policy=POLICIES)
def test_every_refusal_says_something(evidence: Evidence, policy: Policy) -> None:
    decision = decide(evidence, policy)
    assert decision.detail
    assert decision.reason


def test_the_tag_of_a_drill_without_its_record_refuses_and_with_it_does_not() -> None:
    forged = replace(HUNG, drill="monday", is_drill_open=False)
    assert decide(forged, POLICY).reason == "drill-spent"
    assert decide(replace(forged, is_drill_open=True), POLICY).action == "interrupt"
