"""What both state machines have in common: name, logging, tracing, total timeout, a role with the grants listed."""

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
    """A state machine to be: its states from the first one, what it may do, how long it may take."""

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
        # Every transition, but not what is in it: a manifest's URL passes through, and is a credential for a while.
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
    """Each state leads to the one after it; a fragment leads on from its end."""
    for left, right in itertools.pairwise(states):
        for end in left.end_states:
            end.next(right)
