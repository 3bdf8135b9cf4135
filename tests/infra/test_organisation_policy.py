"""The example of a service control policy: is one by its grammar, and keeps the tags that matter to those who may."""

import json
import re
from typing import Any

import pytest

from infra.foundation import bundle
from infra.synth import STACK_NAME
from lab.aws.iam.policy import Policies, Request, decide
from tests.infra.template import Template

POLICY: dict[str, Any] = json.loads((bundle.ROOT / "docs" / "organisation-policy.json").read_text(encoding="utf-8"))
INSTANCE = "arn:aws:ec2:eu-west-1:123456789012:instance/i-0123456789abcdef0"
VOLUME = "arn:aws:ec2:eu-west-1:123456789012:volume/vol-0123456789abcdef0"
GROUP = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/web"
ENROLMENT, DEVELOPER = "hangdump-enrolment", "developer"
OURS = f"{STACK_NAME}-ProvisionDumpVolumeStateMachineRole-AbCdEf"
TAG = re.compile(r"hangdump:[a-z]+(?:-[a-z]+)*")


# Of the account itself: it may do everything, as far as its own policies go.
_EVERYTHING = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def is_denied(action: str, resource: str, role: str, tags: tuple[str, ...] | None = ()) -> bool:
    """Whether the policy, beside AWS's FullAWSAccess, denies it; `tags` None: a call that names no tag."""
    context: dict[str, Any] = {"aws:PrincipalArn": f"arn:aws:iam::123456789012:role/{role}"}
    if tags:
        context["aws:TagKeys"] = tags
    request = Request(action, resource, context, context["aws:PrincipalArn"])
    organisation = {"Statement": [*_EVERYTHING["Statement"], *POLICY["Statement"]]}
    return decide(request, Policies(identity=[_EVERYTHING], organisation=organisation)) is not None


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
        assert all(
            re.fullmatch(r"(autoscaling|ec2|iam|lambda|ssm|states):[A-Z]\w+", each)
            for each in _list(statement["Action"])
        )
        assert all(each == "*" or each.startswith("arn:aws:") for each in _list(statement["Resource"]))
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


@pytest.mark.parametrize("role", [DEVELOPER, ENROLMENT, OURS])
@pytest.mark.parametrize("resource", [INSTANCE, VOLUME], ids=["instance", "volume"])
def test_nobody_deletes_all_tags_of_a_resource_by_naming_none(resource: str, role: str) -> None:
    """DeleteTags without Tags: the request has no tag keys, so no rule on a key sees it."""
    assert is_denied("ec2:DeleteTags", resource, role, None)
    assert not is_denied("ec2:DeleteTags", resource, DEVELOPER, ("team",))


@pytest.mark.parametrize(
    "action", ["autoscaling:CreateAutoScalingGroup", "autoscaling:CreateOrUpdateTags", "autoscaling:DeleteTags"]
)
def test_no_tag_of_ours_reaches_an_instance_by_its_group(action: str) -> None:
    """The group's service-linked role tags what it launches, and no organisation policy binds it."""
    for tag in ("hangdump:enrolled", "hangdump:stack", "hangdump:ready"):
        assert is_denied(action, GROUP, DEVELOPER, ("team", tag))
        assert not is_denied(action, GROUP, ENROLMENT, (tag,))
    assert not is_denied(action, GROUP, DEVELOPER, ("team",))


def test_a_drill_alone_enrols_its_twin_and_hangs_it() -> None:
    document = "arn:aws:ssm:eu-west-1:123456789012:document/Hangdump-hang_instance"
    drill = f"{STACK_NAME}-DrillDumpStateMachineRole-AbCdEf"
    assert not is_denied("ssm:SendCommand", document, drill)
    assert not is_denied("ec2:CreateTags", INSTANCE, drill, ("hangdump:enrolled", "hangdump:drill"))
    for role in (DEVELOPER, ENROLMENT, OURS):
        assert is_denied("ssm:SendCommand", document, role)
    assert is_denied("ec2:CreateTags", INSTANCE, DEVELOPER, ("hangdump:drill",))
    assert not is_denied("ssm:SendCommand", "arn:aws:ssm:eu-west-1:123456789012:document/AWS-RunShellScript", DEVELOPER)


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
        for tag in statement["Condition"].get("ForAnyValue:StringEqualsIgnoreCase", {}).get("aws:TagKeys", [])
    }
    assert used == kept


def test_no_role_of_the_stack_has_a_name_that_the_policy_would_not_know(template: Template) -> None:
    """CloudFormation names a role <stack>-<logical id>-<random> as long as the template does not."""
    assert [name for name, role in template.of_type("AWS::IAM::Role").items() if "RoleName" in role] == []


def test_whoever_is_exempted_is_protected_as_well() -> None:
    """Otherwise a developer takes a name that may do what he may not."""
    exempted = {
        arn.replace("cfn-exec-role-*", "*")
        for statement in POLICY["Statement"]
        for arn in _list(statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"])
    }
    for role in (arn.rpartition("/")[2].replace("*", "x") for arn in exempted):
        for action in ("iam:CreateRole", "iam:PassRole", "iam:UpdateAssumeRolePolicy"):
            assert is_denied(action, f"arn:aws:iam::123456789012:role/{role}", DEVELOPER), (action, role)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("lambda:UpdateFunctionCode", "arn:aws:lambda:eu-west-1:123456789012:function:Hangdump-respond_to_hang"),
        ("states:UpdateStateMachine", "arn:aws:states:eu-west-1:123456789012:stateMachine:CollectVmcore"),
        ("states:UpdateStateMachine", "arn:aws:states:eu-west-1:123456789012:stateMachine:ProvisionDumpVolume"),
        ("states:UpdateStateMachine", "arn:aws:states:eu-west-1:123456789012:stateMachine:DrillDump"),
    ],
)
def test_only_the_deployment_changes_what_runs_as_hangdump(action: str, resource: str) -> None:
    assert is_denied(action, resource, DEVELOPER)
    assert not is_denied(action, resource, "cdk-hnb659fds-cfn-exec-role-123456789012-eu-west-1")


@pytest.mark.parametrize("tag", ["Hangdump:Enrolled", "HANGDUMP:READY"])
def test_another_case_of_a_tag_is_the_same_tag(tag: str) -> None:
    assert is_denied("ec2:CreateTags", INSTANCE, DEVELOPER, (tag,))
