"""The functions of DrillDump, with their environment and permissions."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.foundation import grants
from infra.foundation.fleet import Fleet
from infra.foundation.functions import Function, FunctionConfig
from infra.parts import Parts
from infra.settings import Settings
from lambdas.fleet.row import ROW_PREFIX
from lambdas.runtime import environment
from lambdas.runtime.tags import OWNER_TAG, STACK_TAG

NAME = "DrillDump"


class DrillFunctions:
    """Composes the functions into the scope of their workflow; no construct of its own."""

    def __init__(self, scope: Construct, *, parts: Parts, fleet: Fleet, settings: Settings) -> None:
        self._scope = scope
        self._parts = parts
        self._fleet = fleet
        self._settings = settings
        self.plan_drill = self._function("plan_drill", self._plans())
        self.watch_drill = self._function("watch_drill", self._watches())
        self.conclude_drill = self._function("conclude_drill", self._concludes())

    def all(self) -> list[Function]:
        """Every function, in the order of their use."""
        return [self.plan_drill, self.watch_drill, self.conclude_drill]

    def _function(self, verb_phrase: str, config: FunctionConfig) -> Function:
        return Function(self._scope, verb_phrase, shared=self._parts.shared, config=config)

    def _plans(self) -> FunctionConfig:
        incidents = self._parts.incidents
        return FunctionConfig(
            environment=[
                incidents.records,
                environment.DrillLimits.of(self._settings),
                environment.KillSwitch(kill_switch_parameter=incidents.kill_switch.parameter_name),
            ],
            statements=[
                grants.keep_drills(incidents.table, "GetItem", "PutItem", "UpdateItem"),
                grants.read("ec2:DescribeImages", "ec2:DescribeInstances", "ec2:DescribeInstanceTypes"),
                iam.PolicyStatement(actions=["ssm:GetParameter"], resources=[incidents.kill_switch.parameter_arn]),
                iam.PolicyStatement(
                    actions=["states:DescribeExecution"],
                    resources=[grants.executions(cdk.Stack.of(self._scope), NAME)],
                ),
            ],
            acknowledged={
                grants.wildcard(
                    f"states:execution:{NAME}:*"
                ): "Reads whether the drill that holds a subject still runs."
            },
        )

    def _watches(self) -> FunctionConfig:
        table = self._parts.incidents.table
        return FunctionConfig(
            environment=[self._parts.incidents.records],
            statements=[
                grants.read_crashes(table),
                grants.list_incidents(table),
                grants.read("ec2:DescribeInstances", "ssm:DescribeInstanceInformation"),
            ],
        )

    def _concludes(self) -> FunctionConfig:
        table, stack = self._parts.incidents.table, cdk.Stack.of(self._scope)
        dump_volumes = iam.PolicyStatement(
            actions=["ec2:DeleteVolume"],
            resources=[grants.volumes(stack)],
            conditions={
                "StringEquals": {f"aws:ResourceTag/{STACK_TAG}": stack.stack_name},
                "Null": {f"aws:ResourceTag/{OWNER_TAG}": "false"},
            },
        )
        return FunctionConfig(
            environment=[
                self._parts.incidents.records,
                self._parts.incidents.notifications,
                self._fleet.environment,
                self._fleet.configuration,
            ],
            statements=[
                iam.PolicyStatement(actions=["sns:Publish"], resources=[self._parts.incidents.topic.topic_arn]),
                grants.keep_drills(table, "GetItem", "PutItem", "UpdateItem"),
                grants.read_incidents(table),
                grants.read_dump_volume_records(table),
                self._fleet.grant("DeleteItem", keys=f"{ROW_PREFIX}*"),
                grants.read("ec2:DescribeVolumes"),
                dump_volumes,
                *grants.forget_parked(stack, table),
            ],
            acknowledged={
                grants.wildcard("ec2:volume/*"): grants.ANY_INSTANCE,
                grants.ANY_SNAPSHOT: grants.ANY_INSTANCE,
            },
        )
