"""Evaluates a bucket policy for one object request, with its conditions. Pure; owns no bucket."""

import fnmatch
from collections.abc import Mapping
from typing import Any

# The lab speaks HTTP on loopback; as far as policies go it is the newest TLS.
_TRANSPORT = {"aws:securetransport": "true", "s3:tlsversion": "1.3"}


def decision(policy: Mapping[str, Any], *, action: str, resource: str, headers: Mapping[str, str]) -> str:
    """ "Deny", "Allow" or "Neutral", an explicit Deny winning; principals other than everybody are not looked at."""
    facts = {**_TRANSPORT, **{f"s3:{name.lower()}": value for name, value in headers.items()}}
    effects = {
        statement["Effect"]
        for statement in _as_list(policy["Statement"])
        if _applies(statement, action, resource, facts)
    }
    if "Deny" in effects:
        return "Deny"
    return "Allow" if "Allow" in effects else "Neutral"


def _applies(statement: Mapping[str, Any], action: str, resource: str, facts: Mapping[str, str]) -> bool:
    if statement.get("Principal") not in ("*", {"AWS": "*"}):
        return False
    return (
        any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in _as_list(statement["Action"]))
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in _as_list(statement["Resource"]))
        and all(
            _holds(operator, facts.get(key.lower()), [str(value) for value in _as_list(wanted)])
            for operator, tests in (statement.get("Condition") or {}).items()
            for key, wanted in tests.items()
        )
    )


def _holds(operator: str, actual: str | None, wanted: list[str]) -> bool:
    if operator == "Null":
        return (actual is None) == (wanted[0].lower() == "true")
    if operator.endswith("IfExists"):
        return actual is None or _holds(operator.removesuffix("IfExists"), actual, wanted)
    match operator:
        case "StringNotEquals" | "ArnNotEquals":
            return actual is None or actual not in wanted
        case "StringEquals" | "ArnEquals":
            return actual in wanted
        case "Bool":
            return actual is not None and actual.lower() == wanted[0].lower()
        case "NumericLessThan":
            return actual is not None and float(actual) < float(wanted[0])
        case _:
            raise ValueError(f"condition operator {operator} of a bucket policy is not emulated")


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
