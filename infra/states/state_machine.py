"""Creates a state machine: name, logging, tracing, total timeout, and a role with the listed grants."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation import grants
from infra.foundation.acknowledgements import acknowledge
from infra.foundation.functions import log_group
from infra.settings import Settings


@dataclass(frozen=True)
class Workflow:
    """The first state of a state machine, its grants and its timeout."""

    first: sfn.State
    statements: Sequence[iam.PolicyStatement]
    timeout_seconds: int
    comment: str
    acknowledged: Mapping[str, str]


def state_machine(scope: Construct, name: str, *, workflow: Workflow, settings: Settings) -> sfn.StateMachine:
    """The state machine called `name`."""
    days = settings.log_retention_days
    logs = log_group(scope, "Log", name=f"/aws/vendedlogs/states/{name}", retention_days=days)
    machine = sfn.StateMachine(
        scope,
        "StateMachine",
        state_machine_name=name,
        state_machine_type=sfn.StateMachineType.STANDARD,
        definition_body=sfn.DefinitionBody.from_chainable(sfn.Chain.start(workflow.first)),
        comment=workflow.comment,
        timeout=cdk.Duration.seconds(workflow.timeout_seconds),
        tracing_enabled=True,
        # Log every transition without its data: a manifest's presigned URL is a credential.
        logs=sfn.LogOptions(destination=logs, level=sfn.LogLevel.ALL, include_execution_data=False),
    )
    for statement in workflow.statements:
        machine.add_to_role_policy(statement)
    reasons = {
        "AwsSolutions-IAM5[Resource::*]": f"Log delivery takes no resource. {grants.CANNOT_BE_LIMITED}",
        **workflow.acknowledged,
    }
    acknowledge(machine.role, reasons)
    return machine


def connect(*states: sfn.IChainable) -> None:
    """Connects each state to the next one; a fragment from its end states."""
    for left, right in itertools.pairwise(states):
        for end in left.end_states:
            end.next(right)
