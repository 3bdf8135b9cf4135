"""The one construct for every Lambda function: runtime, role, log group, tracing, Powertools.

What a function may do and what it is told (environment, timeout) is said where it is composed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.foundation import grants
from infra.foundation.acknowledgements import OF_A_FUNCTION, acknowledge
from lambdas.runtime.telemetry_names import NAMESPACE, SERVICE

RUNTIME = lambda_.Runtime.PYTHON_3_14

_POWERTOOLS = {
    "POWERTOOLS_SERVICE_NAME": SERVICE,
    "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE,
    "POWERTOOLS_LOG_LEVEL": "INFO",
}


@dataclass(frozen=True)
class Shared:
    """What all functions have in common."""

    code: lambda_.Code
    log_retention_days: int
    failures: sns.ITopic
    """Told when a function that nobody waits for has failed for good."""


@dataclass(frozen=True)
class Needs:
    """What one function is told and may do."""

    environment: Mapping[str, str] | None = None
    statements: Sequence[iam.PolicyStatement] = ()
    timeout_seconds: int = 60
    memory_mib: int = 256
    acknowledged: Mapping[str, str] | None = None


class Function(lambda_.Function):
    """`Hangdump-<verb_phrase>`, handler `lambdas.handlers.<verb_phrase>.handler`."""

    def __init__(self, scope: Construct, verb_phrase: str, *, shared: Shared, needs: Needs | None = None) -> None:
        needs = needs or Needs()
        name = f"Hangdump-{verb_phrase}"
        days = shared.log_retention_days
        logs = log_group(scope, f"{verb_phrase}_log", name=f"/aws/lambda/{name}", retention_days=days)
        # An own role instead of the library's, which comes with the managed policy that may write to any log group.
        role = iam.Role(scope, f"{verb_phrase}_role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        # No reserved concurrency: it is taken from what the account's other functions share, and in an account with the
        # starting quota of 10 the deployment would fail. What must not happen twice is guarded by the table.
        super().__init__(
            scope,
            verb_phrase,
            function_name=name,
            handler=f"lambdas.handlers.{verb_phrase}.handler",
            code=shared.code,
            runtime=RUNTIME,
            architecture=lambda_.Architecture.ARM_64,
            role=role,
            log_group=logs,
            tracing=lambda_.Tracing.ACTIVE,
            environment={**_POWERTOOLS, **(needs.environment or {})},
            timeout=cdk.Duration.seconds(needs.timeout_seconds),
            memory_size=needs.memory_mib,
        )
        # Set before events are wired up; infra/operations/own_alarms.py asks.
        self.is_event_called = False
        logs.grant_write(role)
        for statement in needs.statements:
            role.add_to_policy(statement)
        acknowledge(self, OF_A_FUNCTION)
        acknowledge(role, {"AwsSolutions-IAM5[Resource::*]": grants.CANNOT_BE_LIMITED, **(needs.acknowledged or {})})

    def retry_when_asynchronous(self, shared: Shared, *, for_minutes: int) -> None:
        """For a function that events call: try twice more, not after `for_minutes`, then tell the topic."""
        self.is_event_called = True
        self.configure_async_invoke(
            retry_attempts=2,
            max_event_age=cdk.Duration.minutes(for_minutes),
            on_failure=destinations.SnsDestination(shared.failures),
        )


def log_group(scope: Construct, construct_id: str, *, name: str, retention_days: int) -> logs.LogGroup:
    """The group. It goes with the stack: its name is fixed, and one left behind would block the next deployment."""
    group = logs.LogGroup(scope, construct_id, log_group_name=name, removal_policy=cdk.RemovalPolicy.DESTROY)
    # The construct only takes an enumeration of words (THREE_MONTHS); settings.RetentionInDays has checked the number.
    cast("logs.CfnLogGroup", group.node.default_child).retention_in_days = retention_days
    return group
