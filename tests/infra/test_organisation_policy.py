"""The example of a service control policy: is one by its grammar, and keeps the tags that matter to those who may."""

import fnmatch
import json
import re
from typing import Any

import pytest

from infra.foundation import bundle
from infra.synth import STACK_NAME
from tests.infra.template import Template

POLICY: dict[str, Any] = json.loads((bundle.ROOT / "docs" / "organisation-policy.json").read_text(encoding="utf-8"))
INSTANCE = "arn:aws:ec2:eu-west-1:123456789012:instance/i-0123456789abcdef0"
VOLUME = "arn:aws:ec2:eu-west-1:123456789012:volume/vol-0123456789abcdef0"
ENROLMENT, DEVELOPER = "hangdump-enrolment", "developer"
OURS = f"{STACK_NAME}-ProvisionDumpVolumeStateMachineRole-AbCdEf"
TAG = re.compile(r"hangdump:[a-z]+(?:-[a-z]+)*")


def is_denied(action: str, resource: str, role: str, tags: tuple[str, ...] = ()) -> bool:
    """Whether any statement denies it; each operator as IAM's documentation has it."""
    principal = f"arn:aws:iam::123456789012:role/{role}"
    return any(_applies(each, action, resource, principal, tags) for each in POLICY["Statement"])


def _applies(statement: dict[str, Any], action: str, resource: str, principal: str, tags: tuple[str, ...]) -> bool:
    if action not in _list(statement["Action"]):
        return False
    if not any(fnmatch.fnmatchcase(resource, each) for each in _list(statement["Resource"])):
        return False
    condition = statement["Condition"]
    wanted = condition.get("ForAnyValue:StringEquals", {}).get("aws:TagKeys")
    # ForAnyValue is false where the request has no such key.
    if wanted is not None and not set(tags) & set(wanted):
        return False
    return not any(fnmatch.fnmatchcase(principal, each) for each in condition["ArnNotLike"]["aws:PrincipalArn"])


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def test_it_is_a_service_control_policy() -> None:
    """What AWS Organizations refuses: another element, a principal, an unknown operator, more than 5,120 characters."""
    assert set(POLICY) == {"Version", "Statement"}
    assert POLICY["Version"] == "2012-10-17"
    for statement in POLICY["Statement"]:
        assert set(statement) == {"Sid", "Effect", "Action", "Resource", "Condition"}
        assert statement["Effect"] == "Deny"
        assert re.fullmatch(r"[A-Za-z0-9]+", statement["Sid"])
        assert all(re.fullmatch(r"(ec2|iam):[A-Z][A-Za-z]+", each) for each in _list(statement["Action"]))
        assert all(each == "*" or each.startswith("arn:aws:") for each in _list(statement["Resource"]))
        # What is_denied knows.
        assert set(statement["Condition"]) <= {"ForAnyValue:StringEquals", "ArnNotLike"}
        assert set(statement["Condition"]["ArnNotLike"]) == {"aws:PrincipalArn"}
    assert len({each["Sid"] for each in POLICY["Statement"]}) == len(POLICY["Statement"])
    assert len(json.dumps(POLICY)) <= 5_120


@pytest.mark.parametrize("tag", ["hangdump:enrolled", "hangdump:analysis-host"])
@pytest.mark.parametrize("action", ["ec2:CreateTags", "ec2:DeleteTags"])
def test_only_the_enrolment_opts_in_and_out(action: str, tag: str) -> None:
    for role in (DEVELOPER, OURS):
        assert is_denied(action, INSTANCE, role, (tag,))
        # Not hidden among others either.
        assert is_denied(action, INSTANCE, role, ("Name", tag))
    assert not is_denied(action, INSTANCE, ENROLMENT, (tag,))


@pytest.mark.parametrize("resource", [INSTANCE, VOLUME], ids=["instance", "volume"])
def test_only_hangdump_sets_its_other_tags(resource: str) -> None:
    """By `stack` and `rescue` its sweep deletes."""
    for tag in ("hangdump:ready", "hangdump:stack", "hangdump:rescue", "hangdump:incident"):
        assert is_denied("ec2:CreateTags", resource, DEVELOPER, (tag,))
        assert is_denied("ec2:CreateTags", resource, ENROLMENT, (tag,))
        assert not is_denied("ec2:CreateTags", resource, OURS, (tag,))


def test_hangdump_disarms_an_instance_and_the_enrolment_arms_it_again() -> None:
    for action in ("ec2:CreateTags", "ec2:DeleteTags"):
        assert is_denied(action, INSTANCE, DEVELOPER, ("hangdump:disarmed",))
        assert not is_denied(action, INSTANCE, OURS, ("hangdump:disarmed",))
        assert not is_denied(action, INSTANCE, ENROLMENT, ("hangdump:disarmed",))


def test_tags_of_others_are_none_of_its_business() -> None:
    assert not is_denied("ec2:CreateTags", INSTANCE, DEVELOPER, ("Name", "team"))


def test_nobody_else_interrupts_an_instance_or_takes_the_name_of_who_may() -> None:
    assert is_denied("ec2:SendDiagnosticInterrupt", INSTANCE, DEVELOPER)
    assert not is_denied("ec2:SendDiagnosticInterrupt", INSTANCE, OURS)
    role = "arn:aws:iam::123456789012:role/Hangdump-mine"
    assert is_denied("iam:CreateRole", role, DEVELOPER)
    assert is_denied("iam:PutRolePolicy", role, DEVELOPER)
    assert not is_denied("iam:CreateRole", role, "cdk-hnb659fds-cfn-exec-role-123456789012-eu-west-1")


def test_every_tag_that_the_code_goes_by_is_kept() -> None:
    """The tags of the stack's own resources too: the CDK writes them, and the sweep goes by them."""
    used = {
        tag
        for folder in ("lambdas", "infra")
        for path in (bundle.ROOT / folder).rglob("*.py")
        for tag in TAG.findall(path.read_text(encoding="utf-8"))
        # A property of the bill of materials.
        if path.name != "sbom.py"
    }
    kept = {
        tag
        for statement in POLICY["Statement"]
        for tag in statement["Condition"].get("ForAnyValue:StringEquals", {}).get("aws:TagKeys", [])
    }
    assert used == kept


def test_no_role_of_the_stack_has_a_name_that_the_policy_would_not_know(template: Template) -> None:
    """CloudFormation names a role <stack>-<logical id>-<random> as long as the template does not."""
    assert [name for name, role in template.of_type("AWS::IAM::Role").items() if "RoleName" in role] == []
