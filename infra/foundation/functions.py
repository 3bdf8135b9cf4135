"""The construct of every Lambda function: runtime, role, log group, tracing, Powertools.

Each act says what its functions need, in a FunctionConfig.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from lambdas.runtime.environment import Environment
from lambdas.runtime.telemetry_names import NAMESPACE, SERVICE

RUNTIME = lambda_.Runtime.PYTHON_3_14

_POWERTOOLS = {
    "POWERTOOLS_SERVICE_NAME": SERVICE,
    "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE,
    "POWERTOOLS_LOG_LEVEL": "INFO",
}


@dataclass(frozen=True)
class FunctionDefaults:
    """The settings that all functions share."""

    code: lambda_.Code
    log_retention_days: int
    # Gets the event of an asynchronous call that failed after all retries.
    failures: sns.ITopic


@dataclass(frozen=True)
class FunctionConfig:
    """A function's environment and permissions."""

    environment: Sequence[Environment] = ()
    statements: Sequence[iam.PolicyStatement] = ()
    timeout_seconds: int = 60
    memory_mib: int = 256
    acknowledged: Mapping[str, str] = field(default_factory=dict)

    def __or__(self, other: "FunctionConfig") -> "FunctionConfig":
        """Both configurations together, with the longer timeout and the larger memory."""
        return FunctionConfig(
            environment=[*self.environment, *other.environment],
            statements=[*self.statements, *other.statements],
            timeout_seconds=max(self.timeout_seconds, other.timeout_seconds),
            memory_mib=max(self.memory_mib, other.memory_mib),
            acknowledged={**self.acknowledged, **other.acknowledged},
        )


class Function(lambda_.Function):
    """`Hangdump-<verb_phrase>`, handler `lambdas.handlers.<verb_phrase>.handler`."""

    def __init__(
        self, scope: Construct, verb_phrase: str, *, shared: FunctionDefaults, config: FunctionConfig = FunctionConfig()
    ) -> None:
        name = f"Hangdump-{verb_phrase}"
        days = shared.log_retention_days
        logs = log_group(scope, f"{verb_phrase}_log", name=f"/aws/lambda/{name}", retention_days=days)
        # The library's default role has a managed policy that may write to any log group.
        role = iam.Role(scope, f"{verb_phrase}_role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        # No reserved concurrency: it would reduce the concurrency of the account's other functions, and the deployment
        # would fail in an account with the initial quota of 10. The table prevents double actions.
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
            environment=_POWERTOOLS | _variables(config.environment),
            timeout=cdk.Duration.seconds(config.timeout_seconds),
            memory_size=config.memory_mib,
        )
        # infra/operations/own_alarms.py reads it.
        self.is_event_called = False
        logs.grant_write(role)
        for statement in config.statements:
            role.add_to_policy(statement)
        acknowledge(self, OF_A_FUNCTION)
        acknowledge(role, {"AwsSolutions-IAM5[Resource::*]": grants.CANNOT_BE_LIMITED, **config.acknowledged})

    def add_variables(self, model: Environment) -> None:
        """Adds variables that name a resource which refers to the function."""
        for name, value in model.variables().items():
            self.add_environment(name, value)

    def retry_when_asynchronous(self, shared: FunctionDefaults, *, for_minutes: int) -> None:
        """For a function that events call: retries twice within `for_minutes`, then sends the event to the topic."""
        self.is_event_called = True
        self.configure_async_invoke(
            retry_attempts=2,
            max_event_age=cdk.Duration.minutes(for_minutes),
            on_failure=destinations.SnsDestination(shared.failures),
        )


def _variables(models: Sequence[Environment]) -> dict[str, str]:
    return {name: value for model in models for name, value in model.variables().items()}


def log_group(scope: Construct, construct_id: str, *, name: str, retention_days: int) -> logs.LogGroup:
    """A log group. It is deleted with the stack: its name is fixed, so a leftover would block the next deployment."""
    group = logs.LogGroup(scope, construct_id, log_group_name=name, removal_policy=cdk.RemovalPolicy.DESTROY)
    # The construct takes only an enumeration (THREE_MONTHS); settings.RetentionInDays has checked the number.
    cast("logs.CfnLogGroup", group.node.default_child).retention_in_days = retention_days
    return group
