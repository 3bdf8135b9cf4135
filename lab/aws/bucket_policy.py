"""Evaluates a bucket policy for one object request, with its conditions. Pure; owns no bucket."""

from collections.abc import Mapping
from typing import Any

from lab.aws.iam.policy import Request, effect

# The lab speaks HTTP on loopback; as far as policies go it is the newest TLS.
_TRANSPORT = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
# Only what a policy says of everybody is looked at.
_NOBODY = ""


def decision(policy: Mapping[str, Any], *, action: str, resource: str, headers: Mapping[str, str]) -> str:
    """ "Deny", "Allow" or "Neutral", an explicit Deny winning; principals other than everybody are not looked at."""
    facts = {**_TRANSPORT, **{f"s3:{name.lower()}": value for name, value in headers.items()}}
    return effect(policy, Request(action, resource, facts, _NOBODY), is_of_resource=True).value
