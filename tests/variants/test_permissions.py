"""Both ways: in each kind of account every call of every scenario is granted, and every grant is used by some call.

UPDATE_SNAPSHOTS=1 writes the counts to results/iam.json.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lab.aws.iam.account_facts import CENTRAL_ACCOUNT, DEFAULT, Variant
from lab.aws.iam.policy import as_list
from lab.simulator.copies import Copies
from lab.simulator.world import World, deployed
from tests.simulator import (
    test_collect,
    test_drill,
    test_parked_volume,
    test_provision,
    test_rescue,
    test_respond,
    test_retire,
    test_sweep,
)
from tests.simulator.faults.scenarios import SCENARIOS
from tests.simulator.rare_scenarios import RARE

RESULTS = Path(__file__).resolve().parents[2] / "results" / "iam.json"
OWN_ACCOUNT = "123456789012"
VARIANTS = (
    DEFAULT,
    Variant("customer EBS key", ebs_key_account=OWN_ACCOUNT),
    Variant("shared VPC", network_account=CENTRAL_ACCOUNT),
    Variant("central key account", ebs_key_account=CENTRAL_ACCOUNT),
)
# Grants that no scenario can use, by action, and why they are there.
UNUSED = {
    # The runtime, not the code, asks for these.
    **dict.fromkeys(("logs:CreateLogStream", "logs:PutLogEvents"), "Lambda writes the log"),
    **dict.fromkeys(
        (
            *("logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:GetLogDelivery"),
            *("logs:DescribeResourcePolicies", "logs:ListLogDeliveries", "logs:PutResourcePolicy"),
            "logs:UpdateLogDelivery",
        ),
        "Step Functions sets up its log",
    ),
    **dict.fromkeys(
        (
            *("xray:PutTelemetryRecords", "xray:PutTraceSegments", "xray:GetSamplingRules"),
            "xray:GetSamplingTargets",
        ),
        "X-Ray's own",
    ),
}


# Tests of what happens when a call is denied: by the owner's opt-out, by a key.
DENIALS = (
    test_rescue.test_copies_nothing_of_an_instance_whose_owner_has_opted_out,
    test_provision.test_explains_a_volume_that_disappears_because_its_key_lets_nobody_in,
)


# Of the tests of drills only these are scenarios: a twin that nobody but the sweep ends, a drill that proves nothing.
RARE_ENDS = (
    test_drill.test_a_drill_takes_over_from_one_that_was_stopped_and_the_sweep_ends_its_twin,
    test_drill.test_a_twin_without_a_dump_proves_nothing_and_its_volume_stays,
)
WORKFLOW_TESTS = (
    *(test_collect, test_parked_volume, test_provision, test_rescue, test_respond, test_retire, test_sweep),
)


def scenarios_of(modules: Iterable[ModuleType]) -> Iterator[Callable[[World], None]]:
    """The tests of the workflows are scenarios as well, those that need nothing but a world."""
    for module in modules:
        for name, value in vars(module).items():
            if name.startswith("test_") and list(signature(value).parameters) == ["world"] and value not in DENIALS:
                yield value


# The same of one role each.
UNUSED_BY = {
    ("retire_instance", "sns:Publish"): "Lambda notifies of an event that it gives up",
    ("watch_fleet", "sns:Publish"): "Lambda notifies of an event that it gives up",
    ("render_report", "sns:Publish"): "Lambda notifies of an event that it gives up",
    ("publish_events", "sns:Publish"): "Lambda notifies of a change that it gives up",
    ("respond_to_hang", "kms:Decrypt"): "until 2021 S3 asked for it with a Bucket Key; AWS's pages differ",
    ("send_diagnostic_interrupt", "kms:Decrypt"): "until 2021 S3 asked for it with a Bucket Key; AWS's pages differ",
    ("plan_analysis", "kms:Decrypt"): "until 2021 S3 asked for it with a Bucket Key; AWS's pages differ",
    ("sweep", "kms:Decrypt"): "until 2021 S3 asked for it with a Bucket Key; AWS's pages differ",
    ("send_diagnostic_interrupt", "cloudwatch:DescribeAlarms"): "its rules are respond_to_hang's, for an alarm",
    ("plan_analysis", "sts:AssumeRole"): "the trust policy names the function's role, which suffices in one account",
    ("plan_upload", "sts:AssumeRole"): "the trust policy names the function's role, which suffices in one account",
    ("plan_fleet", "kms:Decrypt"): "until 2021 S3 asked for it with a Bucket Key; AWS's pages differ",
    ("EnrolFleet", "states:StopExecution"): "Step Functions stops the children of a map whose execution is stopped",
    ("EnrolFleet", "states:DescribeExecution"): "of a map's children, after which Step Functions looks",
    ("sweep", "states:StartExecution"): "only with the setting sweepCollects",
    ("retire_instance", "ec2:DescribeInstances"): "when DeleteTags denies an instance; moto never does, a fault does",
}


@dataclass(frozen=True)
class Outcome:
    """What the calls of all scenarios in one kind of account came to."""

    denied: frozenset[str]
    # (caller, policy, statement, action) that allowed some request, and those without which one would be denied.
    used: frozenset[tuple[str, int, int, str]]
    needed: frozenset[tuple[str, int, int, str]]
    grants: Mapping[tuple[str, int, int, str], str]
    calls: int


def outcome_of(assembly: Path, variant: Variant) -> Outcome:
    """In other accounts than the usual one, only the scenarios run in which something of theirs is used."""
    with deployed(assembly, variant) as world:
        copies = Copies()
        for scenario in (
            *SCENARIOS.values(),
            *((*RARE, *RARE_ENDS, *scenarios_of(WORKFLOW_TESTS)) if variant is DEFAULT else ()),
        ):
            if copies.fork():
                try:
                    scenario(world)
                except BaseException as error:
                    copies.leave_crashed(error)
                copies.leave(_seen(world))
        seen = copies.wait()
        grants = _grants(world)
    return Outcome(
        denied=frozenset(each for result in seen for each in result["denied"]),
        used=frozenset(tuple(each) for result in seen for each in result["used"]),
        needed=frozenset(tuple(each) for result in seen for each in result["needed"]),
        grants=grants,
        calls=sum(result["calls"] for result in seen),
    )


def _seen(world: World) -> dict[str, Any]:
    permissions = world.permissions
    decisions = list(permissions.decisions.values())
    # What a removed grant would deny, decided again without it.
    needed = {
        use for each in decisions if each.denied is None for use in each.uses if each.without(*use[1:]) is not None
    }
    return {
        "denied": [f"{each.caller.name}: {each.request} {each.denied.reason}" for each in decisions if each.denied],
        "used": sorted({use for each in decisions for use in each.uses}),
        "needed": sorted(needed),
        "calls": permissions.calls,
    }


def _grants(world: World) -> dict[tuple[str, int, int, str], str]:
    return {
        (role, place, number, action): f"{name}: {action}"
        for name, role, documents in world.permissions.roles()
        for place, document in enumerate(documents)
        for number, statement in enumerate(as_list(document["Statement"]))
        for action in as_list(statement["Action"])
    }


@pytest.fixture(scope="module")
def outcomes(assembly: Path) -> dict[str, Outcome]:
    return {variant.name: outcome_of(assembly, variant) for variant in VARIANTS}


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_nothing_that_is_called_is_denied_in_any_kind_of_account(outcomes: dict[str, Outcome]) -> None:
    assert {name: sorted(each.denied) for name, each in outcomes.items() if each.denied} == {}


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_nothing_is_granted_that_no_call_needs(outcomes: dict[str, Outcome]) -> None:
    names = outcomes[DEFAULT.name].grants
    needed = _across(outcomes, "needed")
    unnoticed = sorted(name for grant, name in names.items() if _portable(grant) not in needed)
    unexplained = [
        each for each in unnoticed if each.split(": ")[1] not in UNUSED and tuple(each.split(": ")) not in UNUSED_BY
    ]
    if os.environ.get("UPDATE_SNAPSHOTS"):
        counts = {
            "calls": sum(each.calls for each in outcomes.values()),
            "denied": sum(len(each.denied) for each in outcomes.values()),
            "grants": len(names),
            "unused": sum(1 for grant in names if _portable(grant) not in _across(outcomes, "used")),
            "mutations": len(names),
            "unnoticed": len(unnoticed),
            "unnoticed_without_a_named_reason": len(unexplained),
        }
        RESULTS.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")
    assert not unexplained, "\n".join(unexplained)


def _across(outcomes: Mapping[str, Outcome], kind: str) -> set[tuple[str, int, int, str]]:
    return {_portable(grant) for each in outcomes.values() for grant in getattr(each, kind)}


def _portable(grant: tuple[str, int, int, str]) -> tuple[str, int, int, str]:
    """CloudFormation ends the name of a role at random, in each account differently."""
    return (grant[0].rpartition("-")[0], *grant[1:])
