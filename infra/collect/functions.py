"""The functions of CollectVmcore: what each is told and may do."""

from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.foundation import grants
from infra.foundation.functions import Function, Needs
from infra.foundation.grants import any_instance_acknowledged
from infra.foundation.vmcore_bucket import any_key_acknowledged, bucket_and_key, objects
from infra.parts import Parts
from infra.report import report_environment, write_index
from infra.respond.gate import (
    beforehand_acknowledged,
    beforehand_environment,
    beforehand_statements,
    gate_environment,
    gate_statements,
    probe_environment,
    probe_statements,
)
from infra.respond.standby import standby_acknowledged, standby_environment, standby_statements
from infra.settings import Settings
from infra.upload.functions import UploadFunctions
from lambdas.incident.object_keys import VMCORES


class CollectFunctions:
    """Composes the functions into the scope of their workflow; no construct of its own."""

    def __init__(self, scope: Construct, *, parts: Parts, settings: Settings) -> None:
        self._scope = scope
        self._parts = parts
        self._settings = settings
        self._table = {"TABLE_NAME": parts.incidents.table.table_name}
        self.open_incident = self._open_incident()
        self.send_diagnostic_interrupt = self._send_diagnostic_interrupt()
        self.watch_dump = self._watch_dump()
        self.upload = UploadFunctions(scope, parts=parts, settings=settings)
        self.return_from_standby = parts.return_from_standby
        self.conclude_incident = self._conclude_incident()

    def all(self) -> list[Function]:
        """Every function, in the order of the story."""
        return [
            *(self.open_incident, self.send_diagnostic_interrupt, self.watch_dump),
            *self.upload.all(),
            self.return_from_standby,
            self.conclude_incident,
        ]

    def _function(self, verb_phrase: str, needs: Needs) -> Function:
        return Function(self._scope, verb_phrase, shared=self._parts.shared, needs=needs)

    def _open_incident(self) -> Function:
        return self._function(
            "open_incident",
            Needs(
                environment={
                    **self._table,
                    "DUMP_TIMEOUT_SECONDS": str(self._settings.dump_timeout_seconds),
                    "DUMP_LIMIT_SECONDS": str(self._settings.dump_limit_seconds),
                },
                statements=[
                    grants.keep_records(self._parts.incidents.table),
                    grants.read("ec2:DescribeInstances", "ssm:DescribeInstanceInformation"),
                ],
            ),
        )

    def _send_diagnostic_interrupt(self) -> Function:
        parts = self._parts
        return self._function(
            "send_diagnostic_interrupt",
            Needs(
                # No probe: whoever asks for the interrupt by hand waives the second signal.
                environment={
                    **gate_environment(parts.incidents, self._settings),
                    **beforehand_environment(parts.vmcores, self._settings),
                    **standby_environment(self._settings),
                },
                statements=[
                    *gate_statements(self._scope, parts.incidents),
                    *beforehand_statements(self._scope, parts.vmcores),
                    *standby_statements(self._scope),
                ],
                timeout_seconds=self._settings.standby_timeout_seconds + 120,
                acknowledged={
                    **any_instance_acknowledged(),
                    **beforehand_acknowledged(parts.vmcores),
                    **standby_acknowledged(),
                },
            ),
        )

    def _watch_dump(self) -> Function:
        parts = self._parts
        return self._function(
            "watch_dump",
            Needs(
                environment={
                    **self._table,
                    **probe_environment(parts.runner, self._settings),
                    "DUMP_STALL_SECONDS": str(self._settings.dump_stall_seconds),
                },
                statements=[
                    grants.keep_records(parts.incidents.table),
                    grants.read(
                        "ec2:DescribeInstances",
                        "ec2:GetConsoleOutput",
                    ),
                    *probe_statements(self._scope, parts.runner),
                ],
                timeout_seconds=self._settings.probe_timeout_seconds + 60,
                acknowledged=any_instance_acknowledged(),
            ),
        )

    def _conclude_incident(self) -> Function:
        parts = self._parts
        return self._function(
            "conclude_incident",
            Needs(
                environment={
                    **self._table,
                    **report_environment(parts.vmcores, self._settings),
                    "REPORT_LINK_HOURS": str(self._settings.report_link_hours),
                    "TOPIC_ARN": parts.incidents.topic.topic_arn,
                },
                statements=[
                    grants.keep_records(parts.incidents.table),
                    grants.read("ec2:GetConsoleOutput"),
                    grants.query_incidents(parts.incidents.table),
                    objects(parts.vmcores, VMCORES, "s3:PutObject", "s3:GetObject"),
                    write_index(parts.vmcores),
                    *bucket_and_key(parts.vmcores),
                    iam.PolicyStatement(actions=["sns:Publish"], resources=[parts.incidents.topic.topic_arn]),
                ],
                # It reads vmcore-dmesg.txt, some MiB.
                timeout_seconds=120,
                memory_mib=512,
                acknowledged=any_key_acknowledged(parts.vmcores, VMCORES),
            ),
        )
