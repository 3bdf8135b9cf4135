"""Decisions as AWS's documentation gives them; each case names the page it was read from.

UG is the IAM user guide, KMS the developer guide of KMS, S3 the user guide of S3, EC2 the user guide of EC2.
"""

from typing import Any

import pytest

from lab.aws.iam.policy import Denied, Policies, Request, decide, matches_arn

ROLE = "arn:aws:iam::111122223333:role/worker"
OTHER = "arn:aws:iam::444455556666:role/worker"
VOLUME = "arn:aws:ec2:eu-west-1:111122223333:volume/vol-1"
OBJECT = "arn:aws:s3:::amzn-s3-demo-bucket/vmcores/one"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234"


def allow(action: Any = "ec2:AttachVolume", resource: Any = "*", **condition: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Action": action,
        "Resource": resource,
        **({"Condition": condition} if condition else {}),
    }


def deny(action: Any = "ec2:AttachVolume", resource: Any = "*", **condition: Any) -> dict[str, Any]:
    return {**allow(action, resource, **condition), "Effect": "Deny"}


def granted(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def is_allowed(  # noqa: PLR0913 - a request and each kind of policy
    *identity: dict[str, Any],
    action: str = "ec2:AttachVolume",
    resource: str = VOLUME,
    principal: str = ROLE,
    context: dict[str, Any] | None = None,
    session: dict[str, Any] | None = None,
    of_resource: dict[str, Any] | None = None,
    organisation: dict[str, Any] | None = None,
    **kind: bool,
) -> bool:
    policies = Policies(
        identity=[granted(*identity)] if identity else [],
        session=granted(session) if session else None,
        resource=granted(of_resource) if of_resource else None,
        organisation=organisation,
        **kind,
    )
    return decide(Request(action, resource, context or {}, principal), policies) is None


# ---- UG, "Policy evaluation logic" (reference_policies_evaluation-logic)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        pytest.param([], False, id="implicit-deny-is-the-default"),
        pytest.param([allow()], True, id="an-allow-overrides-the-implicit-deny"),
        pytest.param([allow(), deny()], False, id="an-explicit-deny-overrides-an-allow"),
        pytest.param([deny(), allow()], False, id="whatever-the-order"),
        pytest.param([allow("ec2:DetachVolume")], False, id="another-action"),
        pytest.param([allow(), deny("ec2:DetachVolume")], True, id="a-deny-of-another-action"),
        pytest.param([allow(["ec2:DetachVolume", "ec2:AttachVolume"])], True, id="one-of-a-list"),
        pytest.param([allow("ec2:*")], True, id="all-of-a-service"),
        pytest.param([allow("*")], True, id="all-actions"),
        pytest.param([allow("EC2:attachvolume")], True, id="actions-ignore-case"),
        pytest.param([allow("ec2:Attach*")], True, id="wildcard-in-an-action"),
        pytest.param([allow("ec2:AttachVolum?")], True, id="one-character"),
        pytest.param([allow("ec2:AttachVolume?")], False, id="one-character-must-be-there"),
    ],
)
def test_statements_of_one_policy(statements: list[dict[str, Any]], expected: bool) -> None:
    assert is_allowed(*statements) is expected


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        # UG reference_policies_evaluation-logic_policy-eval-basics: a session policy limits, and grants nothing.
        pytest.param({"session": allow()}, False, id="a-session-policy-grants-nothing"),
        pytest.param({"identity": allow(), "session": allow()}, True, id="both-identity-and-session"),
        pytest.param({"identity": allow(), "session": allow("ec2:DetachVolume")}, False, id="outside-of-the-session"),
        pytest.param({"identity": allow(), "session": deny()}, False, id="a-deny-in-the-session"),
        # The same page: an SCP limits all principals of the account.
        pytest.param({"identity": allow(), "organisation": granted(allow("*"))}, True, id="scp-full-access"),
        pytest.param({"identity": allow(), "organisation": granted(allow("s3:*"))}, False, id="scp-allows-others"),
        pytest.param(
            {"identity": allow(), "organisation": granted(allow("*"), deny())}, False, id="scp-denies-explicitly"
        ),
        pytest.param({"organisation": granted(allow("*"))}, False, id="scp-grants-nothing"),
        # UG reference_policies_evaluation-logic_policy-eval-basics, resource-based policies in the same account.
        pytest.param(
            {"of_resource": allow() | {"Principal": {"AWS": ROLE}}}, True, id="named-by-the-resource-in-its-account"
        ),
        pytest.param(
            {"of_resource": allow() | {"Principal": {"AWS": "arn:aws:iam::111122223333:root"}}},
            False,
            id="the-account-named-by-the-resource-only-delegates",
        ),
        pytest.param(
            {"identity": allow(), "of_resource": allow() | {"Principal": {"AWS": OTHER}}},
            True,
            id="a-resource-that-names-others-only",
        ),
        pytest.param(
            {"identity": allow(), "of_resource": deny() | {"Principal": "*"}}, False, id="the-resource-denies-everybody"
        ),
        # UG reference_policies_evaluation-logic-cross-account: both must allow.
        pytest.param(
            {"principal": OTHER, "identity": allow(), "is_cross_account": True},
            False,
            id="cross-account-without-policy",
        ),
        pytest.param(
            {"principal": OTHER, "of_resource": allow() | {"Principal": {"AWS": OTHER}}, "is_cross_account": True},
            False,
            id="cross-account-identity-missing",
        ),
        pytest.param(
            {
                "principal": OTHER,
                "identity": allow(),
                "of_resource": allow() | {"Principal": {"AWS": "arn:aws:iam::444455556666:root"}},
                "is_cross_account": True,
            },
            True,
            id="cross-account-both",
        ),
        pytest.param(
            {
                "principal": OTHER,
                "identity": allow(),
                "of_resource": allow() | {"Principal": {"AWS": "444455556666"}},
                "is_cross_account": True,
            },
            True,
            id="an-account-by-its-number",
        ),
    ],
)
def test_several_policies(policies: dict[str, Any], expected: bool) -> None:
    identity = [policies.pop("identity")] if "identity" in policies else []
    assert is_allowed(*identity, **policies) is expected


# ---- KMS key-policy-default: without the root statement, IAM policies are of no effect for a key.


@pytest.mark.parametrize(
    ("principal_of_key", "identity", "expected"),
    [
        ({"AWS": "arn:aws:iam::111122223333:root"}, True, True),
        ({"AWS": "arn:aws:iam::111122223333:root"}, False, False),
        ({"AWS": ROLE}, False, True),
        ({"AWS": OTHER}, True, False),
        ({"Service": "cloudwatch.amazonaws.com"}, True, False),
    ],
    ids=["delegated", "delegated-and-not-granted", "named", "others-are-named", "a-service-is-named"],
)
def test_a_key_obeys_its_own_policy(principal_of_key: Any, identity: bool, expected: bool) -> None:
    statement = {**allow("kms:*"), "Principal": principal_of_key}
    granted_to_role = [allow("kms:Decrypt")] if identity else []
    answer = is_allowed(
        *granted_to_role, action="kms:Decrypt", resource=KEY, of_resource=statement, must_resource_agree=True
    )
    assert answer is expected


def test_a_key_without_a_policy_for_the_account_obeys_nobody_there() -> None:
    assert not is_allowed(allow("kms:*"), action="kms:Decrypt", resource=KEY, must_resource_agree=True)


def test_a_service_is_let_in_by_its_name() -> None:
    statement = {**allow("sns:Publish"), "Principal": {"Service": "cloudwatch.amazonaws.com"}}
    topic = "arn:aws:sns:eu-west-1:111122223333:alarms"
    asked: dict[str, Any] = {"action": "sns:Publish", "resource": topic, "of_resource": statement}
    assert is_allowed(**asked, principal="cloudwatch.amazonaws.com")
    assert not is_allowed(**asked, principal="events.amazonaws.com")


# ---- UG reference_policies_elements_condition_operators and reference_policies_multi-value-conditions

TAG, TAGS = "aws:ResourceTag/hangdump:enrolled", "aws:TagKeys"


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({"StringEquals": {TAG: "true"}}, {TAG: "true"}, True),
        ({"StringEquals": {TAG: "true"}}, {TAG: "True"}, False),
        ({"StringEquals": {TAG: "true"}}, {}, False),
        ({"StringEquals": {TAG: ["yes", "true"]}}, {TAG: "true"}, True),
        ({"StringEquals": {"AWS:resourcetag/Hangdump:Enrolled": "true"}}, {TAG: "true"}, True),
        ({"StringEqualsIgnoreCase": {TAG: "true"}}, {TAG: "TRUE"}, True),
        ({"StringNotEquals": {TAG: "true"}}, {TAG: "false"}, True),
        ({"StringNotEquals": {TAG: "true"}}, {}, True),
        ({"StringNotEquals": {TAG: ["a", "true"]}}, {TAG: "true"}, False),
        ({"StringEqualsIfExists": {TAG: "true"}}, {}, True),
        ({"StringEqualsIfExists": {TAG: "true"}}, {TAG: "false"}, False),
        ({"StringLike": {TAG: "t*"}}, {TAG: "true"}, True),
        ({"StringEquals": {TAG: "t*"}}, {TAG: "true"}, False),
        ({"StringNotLike": {TAG: "t*"}}, {TAG: "true"}, False),
        ({"Null": {TAG: "true"}}, {}, True),
        ({"Null": {TAG: "true"}}, {TAG: "x"}, False),
        ({"Null": {TAG: "false"}}, {TAG: ""}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": "true"}, False),
        ({"Bool": {"ec2:Encrypted": "true"}}, {"ec2:Encrypted": "true"}, True),
        ({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, {"s3:TlsVersion": "1.3"}, False),
        ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": "10"}, True),
        ({"ArnEquals": {"aws:PrincipalArn": ROLE}}, {"aws:PrincipalArn": ROLE}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/w*"}}, {"aws:PrincipalArn": ROLE}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam:*:role/w*"}}, {"aws:PrincipalArn": ROLE}, False),
        ({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/w*"}}, {"aws:PrincipalArn": ROLE}, False),
        # "ForAllValues also returns true if there are no keys in the request"
        ({"ForAllValues:StringEquals": {TAGS: ["a", "b"]}}, {}, True),
        ({"ForAllValues:StringEquals": {TAGS: ["a", "b"]}}, {TAGS: ("a",)}, True),
        ({"ForAllValues:StringEquals": {TAGS: ["a", "b"]}}, {TAGS: ("a", "c")}, False),
        # "If there are no keys, ForAnyValue returns false"
        ({"ForAnyValue:StringEquals": {TAGS: ["a", "b"]}}, {}, False),
        ({"ForAnyValue:StringEquals": {TAGS: ["a", "b"]}}, {TAGS: ("c", "a")}, True),
        ({"ForAnyValue:StringEquals": {TAGS: ["a", "b"]}}, {TAGS: ("c",)}, False),
        ({"ForAnyValue:StringLike": {TAGS: ["hangdump:*"]}}, {TAGS: ("x", "hangdump:ready")}, True),
        ({"ForAllValues:StringLike": {TAGS: ["incident#*"]}}, {TAGS: ("incident#1",)}, True),
        ({"ForAllValues:StringNotEquals": {TAGS: ["a"]}}, {TAGS: ("b", "c")}, True),
        ({"ForAllValues:StringNotEquals": {TAGS: ["a"]}}, {TAGS: ("b", "a")}, False),
        # All operators and all keys of a block must hold.
        ({"StringEquals": {TAG: "true", "ec2:Encrypted": "true"}}, {TAG: "true"}, False),
        ({"ForAllValues:StringEquals": {TAGS: ["a"]}, "Null": {TAGS: "false"}}, {}, False),
        ({"ForAllValues:StringEquals": {TAGS: ["a"]}, "Null": {TAGS: "false"}}, {TAGS: ("a",)}, True),
    ],
    ids=str,
)
def test_a_condition(condition: dict[str, Any], context: dict[str, Any], expected: bool) -> None:
    assert is_allowed(allow(**condition), context=context) is expected


@pytest.mark.parametrize(
    "condition",
    [
        {"StringMatches": {TAG: "true"}},
        {"ForSomeValues:StringEquals": {TAGS: "a"}},
        {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
        {"StringEquals": {TAG: "${aws:PrincipalTag/team}"}},
        # UG: "Use set operators with multivalued keys"; without one AWS's answer is not documented.
        {"StringEquals": {TAGS: "a"}},
    ],
    ids=str,
)
def test_what_is_not_known_is_an_error_and_never_a_match(condition: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError):
        is_allowed(allow(**condition), context={TAG: "true", TAGS: ("a",), "aws:SourceIp": "10.0.0.1"})


def test_not_principal_is_an_error() -> None:
    with pytest.raises(NotImplementedError):
        is_allowed(allow(), of_resource={**deny(), "NotPrincipal": {"AWS": ROLE}})


# ---- UG reference_policies_elements_resource, reference-arns: wildcards in an ARN


@pytest.mark.parametrize(
    ("pattern", "arn", "expected"),
    [
        ("*", VOLUME, True),
        (VOLUME, VOLUME, True),
        ("arn:aws:ec2:eu-west-1:111122223333:volume/*", VOLUME, True),
        ("arn:aws:ec2:*:111122223333:volume/*", VOLUME, True),
        ("arn:aws:ec2:*:*:volume/*", "arn:aws:ec2:eu-west-1:444455556666:volume/vol-9", True),
        ("arn:aws:ec2:eu-west-1:111122223333:instance/*", VOLUME, False),
        ("arn:aws:ec2:eu-west-1:111122223333:volume/*", "arn:aws:ec2:eu-west-1:444455556666:volume/vol-1", False),
        ("arn:aws:ec2:eu-west-1::snapshot/*", "arn:aws:ec2:eu-west-1::snapshot/snap-1", True),
        ("arn:aws:ec2:eu-west-1:111122223333:snapshot/*", "arn:aws:ec2:eu-west-1::snapshot/snap-1", False),
        ("arn:aws:s3:::amzn-s3-demo-bucket/*", OBJECT, True),
        ("arn:aws:s3:::amzn-s3-demo-bucket", OBJECT, False),
        ("arn:aws:s3:::amzn-s3-demo-bucket/vmcores/*/before/*", OBJECT, False),
        ("arn:aws:s3:::amzn-s3-demo-bucket/vmcores/???", OBJECT, True),
        ("arn:aws:s3:::amzn-s3-demo-bucket/[a-z]*", OBJECT, False),
        (
            "arn:aws:states:eu-west-1:111122223333:execution:Rescue:*",
            "arn:aws:states:eu-west-1:111122223333:execution:Rescue:a:b",
            True,
        ),
    ],
    ids=str,
)
def test_a_resource_matches(pattern: str, arn: str, expected: bool) -> None:
    assert matches_arn(pattern, arn) is expected


def test_what_is_excepted_is_not_granted() -> None:
    statement = {"Effect": "Allow", "NotAction": "iam:*", "NotResource": f"{VOLUME}0"}
    assert is_allowed(statement)
    assert not is_allowed(statement, action="iam:PassRole")
    assert not is_allowed(statement, resource=f"{VOLUME}0")


def test_a_denial_says_which_kind_of_policy_is_missing_or_denies() -> None:
    request = Request("ec2:AttachVolume", VOLUME, {}, ROLE)
    assert decide(request, Policies()) == Denied("because no identity-based policy allows the action")
    denied = decide(request, Policies(identity=[granted(allow(), deny())]))
    assert denied == Denied("with an explicit deny in an identity-based policy")
