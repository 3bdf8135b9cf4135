"""Decides one request as IAM does, from the policies alone. Pure: it knows neither the account nor its operations.

Sources: the IAM user guide's pages on evaluation logic, condition operators, multivalued keys and wildcards. What is
not implemented raises NotImplementedError: an unknown operator must never count as a match or as none.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any

# One value, or several for a key such as aws:TagKeys. A key that the request lacks is absent, not empty.
Context = Mapping[str, str | tuple[str, ...]]
Document = Mapping[str, Any]


class Effect(Enum):
    """What the statements of one policy say of a request."""

    DENY = "Deny"
    ALLOW = "Allow"
    # A resource policy names the account: its identity policies decide.
    DELEGATE = "Delegate"
    NEUTRAL = "Neutral"


@dataclass(frozen=True)
class Request:
    """One action on one resource (`*` if the action takes none), with the values of its condition keys.

    `principal` is the ARN of a role, or the name of a service such as `cloudwatch.amazonaws.com`.
    """

    action: str
    resource: str
    context: Context
    principal: str

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}"


@dataclass(frozen=True)
class Caller:
    """A role of the account; `name` as people call it: `plan_upload`, `CollectVmcore`, `uploader of plan_upload`."""

    name: str
    role_arn: str
    session_policy: Document | None = None


@dataclass(frozen=True)
class Policies:
    """All policies that one request meets. `session` and `organisation` limit; None: there is none.

    `must_resource_agree`: the resource is a KMS key, or a role to assume. Its own policy must name the principal or its
    account. So it is with whatever is another account's; there the identity's policy must allow in any case.
    """

    identity: Sequence[Document] = ()
    session: Document | None = None
    resource: Document | None = None
    organisation: Document | None = None
    is_cross_account: bool = False
    must_resource_agree: bool = False


@dataclass(frozen=True)
class Denied:
    """Why, in the words that AWS uses in its messages."""

    reason: str


@dataclass
class Use:
    """Which (policy, statement, action) allowed something; the keys are positions in the lists that were asked."""

    allowed: set[tuple[int, int, str]] = field(default_factory=set)


def decide(request: Request, policies: Policies, use: Use | None = None) -> Denied | None:
    """None if the request is allowed. `use` collects the statements of the identity policies that allowed it."""
    identity = _of_identity(request, policies.identity, use)
    session = effect(policies.session, request) if policies.session else Effect.ALLOW
    organisation = effect(policies.organisation, request) if policies.organisation else Effect.ALLOW
    resource = effect(policies.resource, request, is_of_resource=True) if policies.resource else Effect.NEUTRAL
    found = {
        "an identity-based policy": identity,
        "a session policy": session,
        "a resource-based policy": resource,
        "a service control policy": organisation,
    }
    denying = next((kind for kind, each in found.items() if each is Effect.DENY), None)
    if denying:
        return Denied(f"with an explicit deny in {denying}")
    needs_resource = policies.must_resource_agree or policies.is_cross_account
    is_named_here = resource is Effect.ALLOW and not policies.is_cross_account
    missing = {
        "service control": organisation is not Effect.ALLOW,
        "resource-based": needs_resource and resource is Effect.NEUTRAL,
        "identity-based": identity is not Effect.ALLOW and not is_named_here,
        "session": session is not Effect.ALLOW,
    }
    kind = next((kind for kind, is_missing in missing.items() if is_missing), None)
    return Denied(f"because no {kind} policy allows the action") if kind else None


def _of_identity(request: Request, documents: Sequence[Document], use: Use | None) -> Effect:
    found = Effect.NEUTRAL
    for place, document in enumerate(documents):
        for number, statement in enumerate(as_list(document["Statement"])):
            if not applies(statement, request):
                continue
            if statement["Effect"] == "Deny":
                return Effect.DENY
            found = Effect.ALLOW
            if use is not None:
                matching = [each for each in as_list(statement.get("Action", "*")) if matches(each, request.action)]
                use.allowed.update((place, number, action) for action in matching)
    return found


def effect(document: Document, request: Request, *, is_of_resource: bool = False) -> Effect:
    """What a policy says of a request, an explicit deny winning."""
    found = Effect.NEUTRAL
    for statement in as_list(document["Statement"]):
        named = _names_principal(statement, request.principal) if is_of_resource else Effect.ALLOW
        if named is Effect.NEUTRAL or not applies(statement, request):
            continue
        if statement["Effect"] == "Deny":
            return Effect.DENY
        if found is not Effect.ALLOW:
            found = named
    return found


def applies(statement: Document, request: Request) -> bool:
    """Whether action, resource and every condition of a statement match; its principal is not looked at."""
    return (
        _covers(statement, "Action", lambda pattern: matches(pattern, request.action, ignore_case=True))
        and _covers(statement, "Resource", lambda pattern: matches_arn(pattern, request.resource))
        and all(
            _holds(operator, key, request.context, [str(each) for each in as_list(wanted)])
            for operator, tests in (statement.get("Condition") or {}).items()
            for key, wanted in tests.items()
        )
    )


def _covers(statement: Document, element: str, is_match: Any) -> bool:
    if f"Not{element}" in statement:
        return not any(is_match(each) for each in as_list(statement[f"Not{element}"]))
    # A key policy and a role's trust policy may leave the resource out: it is what they are attached to.
    return any(is_match(each) for each in as_list(statement.get(element, "*")))


def _names_principal(statement: Document, principal: str) -> Effect:
    if "NotPrincipal" in statement:
        raise NotImplementedError("NotPrincipal")
    named = statement["Principal"]
    if named == "*":
        return Effect.ALLOW
    found = Effect.NEUTRAL
    for kind, wanted in named.items():
        for each in as_list(wanted):
            if kind == "Service" and each == principal:
                return Effect.ALLOW
            if kind == "AWS" and each in ("*", principal):
                return Effect.ALLOW
            if kind == "AWS" and _account_of(each) == _account_of(principal) != "":
                found = Effect.DELEGATE
    return found


def _account_of(principal: str) -> str:
    """The account of `arn:aws:iam::111122223333:root` or of the bare number; of a role only when it is the caller."""
    if re.fullmatch(r"\d{12}", principal):
        return principal
    parts = principal.split(":")
    return parts[4] if len(parts) == 6 and (parts[5] == "root" or parts[2] in ("iam", "sts")) else ""


# ---- conditions


def _holds(operator: str, key: str, context: Context, wanted: list[str]) -> bool:
    if any("${" in each for each in wanted):
        raise NotImplementedError(f"policy variables in a condition: {wanted}")
    actual = {name.lower(): value for name, value in context.items()}.get(key.lower())
    if operator == "Null":
        return (actual is None) == (wanted[0].lower() == "true")
    quantifier, _, plain = operator.rpartition(":")
    if_exists = plain.endswith("IfExists")
    plain = plain.removesuffix("IfExists")
    if plain not in _TESTS:
        raise NotImplementedError(f"condition operator {operator}")
    test, is_negated = _TESTS[plain]
    if quantifier:
        values = () if actual is None else (actual,) if isinstance(actual, str) else actual
        results = [any(test(value, each) for each in wanted) is not is_negated for value in values]
        if quantifier == "ForAllValues":
            return all(results)
        if quantifier == "ForAnyValue":
            return any(results) or (if_exists and actual is None)
        raise NotImplementedError(f"condition operator {operator}")
    if actual is None:
        return if_exists or is_negated
    if not isinstance(actual, str):
        raise NotImplementedError(f"{operator} on the multivalued key {key}: it needs ForAllValues or ForAnyValue")
    return any(test(actual, each) for each in wanted) is not is_negated


def _equals(actual: str, wanted: str) -> bool:
    return actual == wanted


def _equals_ignoring_case(actual: str, wanted: str) -> bool:
    return actual.lower() == wanted.lower()


def _is_like(actual: str, wanted: str) -> bool:
    return matches(wanted, actual)


def _is_arn(actual: str, wanted: str) -> bool:
    return matches_arn(wanted, actual)


def _is_less(actual: str, wanted: str) -> bool:
    return float(actual) < float(wanted)


def _is_at_most(actual: str, wanted: str) -> bool:
    return float(actual) <= float(wanted)


# Operator -> (test of one value against one wanted value, whether the operator is the negation).
_TESTS = {
    "StringEquals": (_equals, False),
    "StringNotEquals": (_equals, True),
    "StringEqualsIgnoreCase": (_equals_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (_equals_ignoring_case, True),
    "StringLike": (_is_like, False),
    "StringNotLike": (_is_like, True),
    # ArnEquals and ArnLike behave alike.
    "ArnEquals": (_is_arn, False),
    "ArnLike": (_is_arn, False),
    "ArnNotEquals": (_is_arn, True),
    "ArnNotLike": (_is_arn, True),
    "Bool": (_equals_ignoring_case, False),
    "NumericEquals": (lambda actual, wanted: float(actual) == float(wanted), False),
    "NumericLessThan": (_is_less, False),
    "NumericLessThanEquals": (_is_at_most, False),
    "NumericGreaterThan": (lambda actual, wanted: _is_less(wanted, actual), False),
    "NumericGreaterThanEquals": (lambda actual, wanted: _is_at_most(wanted, actual), False),
}


# ---- wildcards


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """`*` stands for any characters, `?` for one; nothing else is special."""
    return _compiled(pattern, ignore_case).fullmatch(text) is not None


@cache
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    translated = "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in pattern)
    return re.compile(translated, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def matches_arn(pattern: str, arn: str) -> bool:
    """The first five parts of an ARN match one by one, so that a wildcard ends at a colon; the rest as a whole."""
    if pattern == "*":
        return True
    patterns, parts = pattern.split(":", 5), arn.split(":", 5)
    return len(patterns) == len(parts) and all(map(matches, patterns, parts))


def as_list(value: Any) -> list[Any]:
    """A policy writes a list of one as its only element."""
    return list(value) if isinstance(value, list | tuple) else [value]
