"""What the command line `hangdump` needs of the stack: the parameter by which it finds it, and two managed policies.

Nobody has the policies before an administrator attaches them. Neither reads a vmcore or sends an interrupt.
"""

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_ssm as ssm
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation import grants
from infra.foundation.acknowledgements import acknowledge
from infra.foundation.fleet import Fleet
from infra.foundation.incidents import Incidents
from infra.settings import Settings
from lambdas.runtime.stack_parameter import (
    BOOTSTRAP_PARAMETER,
    SCHEMA_VERSION,
    STACK_PARAMETER,
    VERSION,
    Output,
    StackSettings,
)
from lambdas.runtime.tags import ENROLLED_TAG

_EXECUTIONS = "Reads how an execution of this state machine goes; its name is known only when it runs."
_STACK = "CloudFormation ends the ARN of a stack with an id that is made at the deployment."


class CommandLinePolicies(Construct):
    """`viewer` may run the commands that only read; `operator` those that start and stop something, too."""

    def __init__(  # noqa: PLR0913 - what the commands read and call
        self,
        scope: Construct,
        construct_id: str,
        *,
        incidents: Incidents,
        fleet: Fleet,
        provision: sfn.StateMachine,
        collect: sfn.StateMachine,
        retire: sfn.StateMachine,
        drill: sfn.StateMachine,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        seen, started = (provision, collect), (provision, collect, retire, drill)
        reads = [*_reads(stack, incidents, seen), fleet.grant("GetItem", "Scan")]
        self.viewer = self._policy(
            "Viewer",
            "Run the commands of hangdump that only read. No vmcores.",
            reads,
            _acknowledged(stack, *seen),
        )
        self.operator = self._policy(
            "Operator",
            "Enrol, drill, retire and interrupt instances and switch interrupts off with hangdump. No vmcores.",
            [*reads, *_acts(stack, incidents, started, followed=(retire, drill))],
            {
                **_acknowledged(stack, *started),
                **grants.any_instance_acknowledged(),
            },
        )

    def _policy(
        self, name: str, description: str, statements: Sequence[iam.PolicyStatement], acknowledged: Mapping[str, str]
    ) -> iam.ManagedPolicy:
        policy = iam.ManagedPolicy(self, name, description=description, statements=list(statements))
        acknowledge(policy, dict(acknowledged))
        return policy


def describe_stack(scope: Construct, outputs: Mapping[Output, str], settings: Settings) -> ssm.StringParameter:
    """The parameter that names everything the command line calls, so that it needs no name of a stack."""
    stack = cdk.Stack.of(scope)
    content = {
        "schemaVersion": SCHEMA_VERSION,
        "version": VERSION,
        "stackName": stack.stack_name,
        "outputs": {name.value: value for name, value in outputs.items()},
        "settings": StackSettings.of(settings).as_json(),
    }
    return ssm.StringParameter(
        scope,
        "StackParameter",
        parameter_name=STACK_PARAMETER,
        string_value=stack.to_json_string(content),
        description="Where the command line hangdump finds the stack. A deployment writes it again.",
    )


def _reads(stack: cdk.Stack, incidents: Incidents, machines: tuple[sfn.StateMachine, ...]) -> list[iam.PolicyStatement]:
    bootstrap, own = (
        stack.format_arn(service="ssm", resource="parameter", resource_name=name.removeprefix("/"))
        for name in (BOOTSTRAP_PARAMETER, STACK_PARAMETER)
    )
    return [
        grants.read(
            "cloudwatch:DescribeAlarms",
            "ec2:DescribeInstanceStatus",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeInstances",
            "ec2:DescribeSnapshots",
            "ec2:DescribeVolumes",
            "servicequotas:ListServiceQuotas",
            "ssm:DescribeInstanceInformation",
        ),
        iam.PolicyStatement(
            actions=["ssm:GetParameter"], resources=[own, bootstrap, incidents.kill_switch.parameter_arn]
        ),
        iam.PolicyStatement(
            actions=["cloudformation:DescribeStacks"],
            resources=[
                stack.format_arn(service="cloudformation", resource="stack", resource_name=f"{stack.stack_name}/*")
            ],
        ),
        grants.list_incidents(incidents.table),
        grants.read_incidents_and_proofs(incidents.table),
        iam.PolicyStatement(actions=["states:ListExecutions"], resources=[each.state_machine_arn for each in machines]),
        iam.PolicyStatement(
            actions=["states:DescribeExecution"], resources=[_executions(stack, each) for each in machines]
        ),
    ]


def _acts(
    stack: cdk.Stack,
    incidents: Incidents,
    machines: tuple[sfn.StateMachine, ...],
    *,
    followed: tuple[sfn.StateMachine, ...],
) -> list[iam.PolicyStatement]:
    return [
        iam.PolicyStatement(actions=["states:StartExecution"], resources=[each.state_machine_arn for each in machines]),
        iam.PolicyStatement(
            actions=["states:GetExecutionHistory"], resources=[_executions(stack, each) for each in machines]
        ),
        iam.PolicyStatement(
            actions=["states:DescribeExecution"], resources=[_executions(stack, each) for each in followed]
        ),
        iam.PolicyStatement(actions=["ssm:PutParameter"], resources=[incidents.kill_switch.parameter_arn]),
        iam.PolicyStatement(
            actions=["ec2:CreateTags"],
            resources=[grants.instances(stack)],
            conditions={
                "StringEquals": {f"aws:RequestTag/{ENROLLED_TAG}": "true"},
                "ForAllValues:StringEquals": {"aws:TagKeys": [ENROLLED_TAG]},
            },
        ),
    ]


def _executions(stack: cdk.Stack, machine: sfn.StateMachine) -> str:
    return grants.executions(stack, _name(machine))


def _name(machine: sfn.StateMachine) -> str:
    """ProvisionDumpVolume: the construct around the machine has the machine's name."""
    return machine.node.scope.node.id if machine.node.scope else machine.node.id


def _acknowledged(stack: cdk.Stack, *machines: sfn.StateMachine) -> dict[str, str]:
    """For cdk-nag."""
    return {
        "AwsSolutions-IAM5[Resource::*]": grants.CANNOT_BE_LIMITED,
        grants.wildcard(f"cloudformation:stack/{stack.stack_name}/*"): _STACK,
        **{grants.wildcard(f"states:execution:{_name(each)}:*"): _EXECUTIONS for each in machines},
    }
