"""The functions of RescueVmcore alone: what each is told and may do. The upload's are CollectVmcore's."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.foundation import grants
from infra.foundation.functions import Function, Needs
from infra.parts import Parts
from infra.rescue.grants import ANY_SNAPSHOT, MADE_BY_A_RESCUE, remove_what_rescues_made
from infra.settings import Settings


class RescueFunctions:
    """Composes the functions into the scope of their workflow; no construct of its own."""

    def __init__(self, scope: Construct, *, parts: Parts, settings: Settings) -> None:
        self._scope = scope
        self._parts = parts
        self._table = {"TABLE_NAME": parts.incidents.table.table_name}
        records = grants.keep_records(parts.incidents.table)
        self.open_rescue = self._function("open_rescue", Needs(environment=self._table, statements=[records]))
        self.plan_rescue = self._function("plan_rescue", self._needs_to_plan(settings, records))
        self.remove_rescue = self._function("remove_rescue", self._needs_to_remove())

    def all(self) -> list[Function]:
        """Every function, in the order of the story."""
        return [self.open_rescue, self.plan_rescue, self.remove_rescue]

    def _function(self, verb_phrase: str, needs: Needs) -> Function:
        return Function(self._scope, verb_phrase, shared=self._parts.shared, needs=needs)

    def _needs_to_plan(self, settings: Settings, records: iam.PolicyStatement) -> Needs:
        return Needs(
            environment={
                **self._table,
                "COLLECTOR_SUBNET_ID": settings.collector_subnet_id,
                "COLLECTOR_SECURITY_GROUP_ID": settings.collector_security_group_id,
            },
            statements=[records, grants.read("ec2:DescribeInstances", "ec2:DescribeVolumes")],
        )

    def _needs_to_remove(self) -> Needs:
        return Needs(
            statements=[
                grants.read("ec2:DescribeInstances", "ec2:DescribeSnapshots", "ec2:DescribeVolumes"),
                *remove_what_rescues_made(cdk.Stack.of(self._scope)),
            ],
            acknowledged={
                ANY_SNAPSHOT: MADE_BY_A_RESCUE,
                grants.wildcard("ec2:instance/*"): MADE_BY_A_RESCUE,
                grants.wildcard("ec2:volume/*"): MADE_BY_A_RESCUE,
            },
        )
