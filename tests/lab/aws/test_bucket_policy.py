"""Bucket policies with conditions, as the synthesized bucket has them."""

from typing import Any

import pytest

from lab.aws.bucket_policy import decision

PRESENT = {"s3:x-amz-server-side-encryption": "false"}
AES256 = {"X-Amz-Server-Side-Encryption": "AES256"}
OBJECTS = "arn:aws:s3:::b/*"


def _deny(condition: dict[str, Any], action: Any = "s3:PutObject") -> dict[str, Any]:
    statement = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": action, "Resource": OBJECTS}
    return {"Statement": [{**statement, "Condition": condition}] if condition else [statement]}


@pytest.mark.parametrize(
    ("condition", "headers", "expected"),
    [
        ({}, {}, "Deny"),
        ({"Bool": {"aws:SecureTransport": "false"}}, {}, "Neutral"),
        ({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, {}, "Neutral"),
        # Documented: "IfExists" of a negated operator still denies when the key is absent.
        ({"StringNotEqualsIfExists": {"s3:x-amz-server-side-encryption": "aws:kms"}}, {}, "Deny"),
        ({"StringEqualsIfExists": {"s3:x-amz-server-side-encryption": "aws:kms"}}, {}, "Deny"),
        ({"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}, {}, "Deny"),
        ({"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}, "Null": PRESENT}, {}, "Neutral"),
        ({"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}, "Null": PRESENT}, AES256, "Deny"),
        ({"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}}, {}, "Neutral"),
    ],
    ids=[
        "no condition",
        "TLS",
        "TLS version",
        "negated IfExists, absent",
        "IfExists, absent",
        "absent is not equal",
        "absent, and only when present",
        "another encryption",
        "null",
    ],
)
def test_a_condition_decides(condition: Any, headers: Any, expected: str) -> None:
    found = decision(_deny(condition), action="s3:PutObject", resource="arn:aws:s3:::b/k", headers=headers)
    assert found == expected


@pytest.mark.parametrize(
    ("action", "resource"), [("s3:GetObject", "arn:aws:s3:::b/k"), ("s3:PutObject", "arn:aws:s3:::other/k")]
)
def test_a_statement_about_something_else_does_not_count(action: str, resource: str) -> None:
    assert decision(_deny({}), action=action, resource=resource, headers={}) == "Neutral"


def test_deny_wins_over_allow() -> None:
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": OBJECTS}
    policy = {"Statement": [allow, *_deny({})["Statement"]]}
    assert decision(policy, action="s3:PutObject", resource="arn:aws:s3:::b/k", headers={}) == "Deny"
    assert decision(policy, action="s3:GetObject", resource="arn:aws:s3:::b/k", headers={}) == "Allow"


def test_an_unknown_operator_is_an_error_and_not_a_guess() -> None:
    with pytest.raises(NotImplementedError, match="DateLessThan"):
        decision(
            _deny({"DateLessThan": {"aws:CurrentTime": "x"}}),
            action="s3:PutObject",
            resource="arn:aws:s3:::b/k",
            headers={},
        )
