"""The functions of RescueVmcore alone, with their environment and permissions. Uploads use CollectVmcore's."""

import aws_cdk as cdk
from constructs import Construct

from infra.foundation import grants
from infra.foundation.functions import Function, FunctionConfig
from infra.parts import Parts
from infra.settings import Settings
from infra.short_lived.removal import removal
from lambdas.runtime import environment


class RescueFunctions:
    """Composes the functions into the scope of their workflow; no construct of its own."""

    def __init__(self, scope: Construct, *, parts: Parts, settings: Settings) -> None:
        self._scope = scope
        self._parts = parts
        self._table = [parts.incidents.records]
        opens = FunctionConfig(environment=self._table, statements=[grants.keep_records(parts.incidents.table)])
        self.open_rescue = self._function("open_rescue", opens)
        self.plan_rescue = self._function("plan_rescue", self._needs_to_plan(settings))
        self.remove_rescue = self._function("remove_rescue", removal(scope, parts))
        self.remove_orphan = self._function("remove_orphan", self._needs_to_remove_orphans(settings))

    def all(self) -> list[Function]:
        """Every function, in the order of their use."""
        return [self.open_rescue, self.plan_rescue, self.remove_rescue, self.remove_orphan]

    def _function(self, verb_phrase: str, needs: FunctionConfig) -> Function:
        return Function(self._scope, verb_phrase, shared=self._parts.shared, config=needs)

    def _needs_to_remove_orphans(self, settings: Settings) -> FunctionConfig:
        return FunctionConfig(
            environment=[*self._table, environment.OrphanRemoval.of(settings)],
            statements=[
                grants.read_dump_volume_records(self._parts.incidents.table),
                grants.read("ec2:DescribeVolumes"),
                grants.delete_dump_volumes(cdk.Stack.of(self._scope)),
            ],
            acknowledged={grants.wildcard("ec2:volume/*"): grants.ANY_INSTANCE},
        )

    def _needs_to_plan(self, settings: Settings) -> FunctionConfig:
        return FunctionConfig(
            environment=[*self._table, environment.RescueInstancePlace.of(settings)],
            statements=[
                grants.amend_incidents(self._parts.incidents.table),
                grants.read_dump_volume_records(self._parts.incidents.table),
                grants.read("ec2:DescribeInstances", "ec2:DescribeVolumes"),
            ],
        )
