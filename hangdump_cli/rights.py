"""What the commands that change something ask IAM for, and whether the caller may, as far as IAM's simulator tells."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from hangdump_cli.aws import Aws
from hangdump_cli.errors import code_of
from hangdump_cli.stack import Stack
from lambdas.incident.object_keys import VMCORES
from lambdas.runtime.stack_parameter import KILL_SWITCH_PARAMETER, Output
from lambdas.runtime.tags import ENROLLED_TAG

_OPERATOR = "Ask for the policy in the stack's output OperatorPolicyArn."
_DUMPS = "Whoever may read dumps needs s3:GetObject and kms:Decrypt: docs/analysis.md."
# arn:aws:sts::123456789012:assumed-role/operators/alice
_ASSUMED = re.compile(r"arn:(?P<partition>[^:]+):sts::(?P<account>\d+):assumed-role/(?P<role>[^/]+)/.*")
_OTHER_CALLER = "it cannot be told for roles with a path, nor for the root user"
_CANNOT_BE_TOLD = {
    "AccessDenied": "iam:SimulatePrincipalPolicy is not granted",
    "NoSuchEntity": _OTHER_CALLER,
    "InvalidInput": _OTHER_CALLER,
}


@dataclass(frozen=True)
class Right:
    """One action on one resource; `purpose` completes "may …"."""

    purpose: str
    action: str
    resource: str
    next_step: str
    # Condition key → its values.
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)


def rights(aws: Aws, stack: Stack, caller_arn: str) -> list[Right]:
    """Of the commands that change something or read a dump."""
    partition, account = caller_arn.split(":")[1], caller_arn.split(":")[4]
    arn = f"arn:{partition}:{{}}:{aws.region}:{account}:{{}}"
    tag = {f"aws:RequestTag/{ENROLLED_TAG}": ["true"], "aws:TagKeys": [ENROLLED_TAG]}
    return [
        Right("enrol", "ec2:CreateTags", arn.format("ec2", "instance/*"), _OPERATOR, tag),
        Right("provision", "states:StartExecution", stack[Output.PROVISION_DUMP_VOLUME], _OPERATOR),
        Right("interrupt and collect", "states:StartExecution", stack[Output.COLLECT_VMCORE], _OPERATOR),
        Right(
            "switch interrupts off",
            "ssm:PutParameter",
            arn.format("ssm", f"parameter{KILL_SWITCH_PARAMETER}"),
            _OPERATOR,
        ),
        Right("drill", "states:StartExecution", stack[Output.DRILL_DUMP], _OPERATOR),
        Right("retire", "states:StartExecution", stack[Output.RETIRE_INSTANCE], _OPERATOR),
        Right("read dumps", "s3:GetObject", f"arn:{partition}:s3:::{stack[Output.VMCORE_BUCKET]}/{VMCORES}*", _DUMPS),
    ]


def simulate(aws: Aws, caller_arn: str, wanted: Sequence[Right]) -> list[tuple[Right, bool | str]]:
    """Whether each is allowed, or why nobody can tell. Conditions on time, network and organisation are left out."""
    answers: list[tuple[Right, bool | str]] = []
    for each in wanted:
        try:
            answers.append((each, _is_allowed(aws, _source(caller_arn), each)))
        except ClientError as error:
            if code_of(error) not in _CANNOT_BE_TOLD:
                raise
            answers.append((each, _CANNOT_BE_TOLD[code_of(error)]))
    return answers


def _is_allowed(aws: Aws, source: str, right: Right) -> bool:
    context: list[dict[str, Any]] = [
        {"ContextKeyName": name, "ContextKeyValues": list(values), "ContextKeyType": "stringList"}
        for name, values in right.context.items()
    ]
    answer = aws.client("iam").simulate_principal_policy(
        PolicySourceArn=source, ActionNames=[right.action], ResourceArns=[right.resource], ContextEntries=context
    )
    return all(each["EvalDecision"] == "allowed" for each in answer["EvaluationResults"])


def _source(caller_arn: str) -> str:
    """The role of a session: IAM simulates users, groups and roles. (A role with a path is not found by this.)"""
    match = _ASSUMED.fullmatch(caller_arn)
    return f"arn:{match['partition']}:iam::{match['account']}:role/{match['role']}" if match else caller_arn
