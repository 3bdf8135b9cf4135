"""The functions of CollectVmcore with their environment and permissions."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.foundation import grants
from infra.foundation.functions import Function, FunctionConfig
from infra.foundation.vmcore_bucket import bucket_and_key, named_objects, named_objects_acknowledged
from infra.parts import Parts
from infra.report import report_environment, write_index
from infra.respond import gate
from infra.settings import Settings
from infra.upload.functions import UploadFunctions
from lambdas.incident.object_keys import ANALYSIS, VMCORES, evidence_object_keys, keys
from lambdas.runtime import environment

_ANY = f"{VMCORES}*/"
_BEFORE = evidence_object_keys(_ANY)
# The report is written from these, and linked.
_READ_AT_THE_END = [
    *(keys(_ANY)[name] for name in ("dmesg", "log", "report")),
    *(_ANY + ANALYSIS, _BEFORE["consoleBefore"], _BEFORE["screenshotBefore"]),
]
_WRITTEN_AT_THE_END = [keys(_ANY)[name] for name in ("incident", "triage", "console", "report")]


class CollectFunctions:
    """Composes the functions into the scope of their workflow; no construct of its own."""

    def __init__(self, scope: Construct, *, parts: Parts, settings: Settings) -> None:
        self._scope = scope
        self._parts = parts
        self._settings = settings
        self._table = [parts.incidents.records]
        self.open_incident = self._open_incident()
        self.send_diagnostic_interrupt = self._send_diagnostic_interrupt()
        self.plan_parked_volume = self._plan_parked_volume()
        self.watch_dump = self._watch_dump()
        self.upload = UploadFunctions(scope, parts=parts, settings=settings)
        self.return_from_standby = parts.return_from_standby
        self.conclude_incident = self._conclude_incident()

    def all(self) -> list[Function]:
        """Every function, in the order of their use."""
        return [
            *(self.open_incident, self.send_diagnostic_interrupt, self.plan_parked_volume, self.watch_dump),
            *self.upload.all(),
            self.return_from_standby,
            self.conclude_incident,
        ]

    def _function(self, verb_phrase: str, needs: FunctionConfig) -> Function:
        return Function(self._scope, verb_phrase, shared=self._parts.shared, config=needs)

    def _open_incident(self) -> Function:
        return self._function(
            "open_incident",
            FunctionConfig(
                environment=[*self._table, environment.DumpDeadline.of(self._settings)],
                statements=[
                    grants.keep_records(self._parts.incidents.table),
                    grants.read("ec2:DescribeInstances", "ssm:DescribeInstanceInformation"),
                ],
            ),
        )

    def _send_diagnostic_interrupt(self) -> Function:
        # Without the probe: a person's request waives the second signal.
        config = gate.interrupt(self._scope, self._parts, self._settings) | gate.announce(self._parts)
        return self._function("send_diagnostic_interrupt", config)

    def _plan_parked_volume(self) -> Function:
        table = self._parts.incidents.table
        return self._function(
            "plan_parked_volume",
            FunctionConfig(
                environment=[*self._table],
                statements=[
                    grants.keep_parked(table, "GetItem"),
                    grants.read_dump_volume_records(table),
                    grants.read("ec2:DescribeInstances", "ec2:DescribeVolumes"),
                ],
            ),
        )

    def _watch_dump(self) -> Function:
        own = FunctionConfig(
            environment=[*self._table, environment.DumpStall.of(self._settings)],
            statements=[
                grants.amend_incidents(self._parts.incidents.table),
                grants.read("ec2:DescribeInstances"),
                grants.on_enrolled(cdk.Stack.of(self._scope), "ec2:GetConsoleOutput"),
            ],
        )
        return self._function("watch_dump", own | gate.probe(self._scope, self._parts.runner, self._settings))

    def _conclude_incident(self) -> Function:
        parts = self._parts
        return self._function(
            "conclude_incident",
            FunctionConfig(
                environment=[
                    *self._table,
                    parts.incidents.notifications,
                    report_environment(parts.vmcores, self._settings),
                    environment.ReportLink.of(self._settings),
                ],
                statements=[
                    grants.keep_records(parts.incidents.table),
                    grants.on_enrolled(cdk.Stack.of(self._scope), "ec2:GetConsoleOutput"),
                    grants.query_incidents(parts.incidents.table),
                    named_objects(parts.vmcores, _READ_AT_THE_END, "s3:GetObject"),
                    named_objects(parts.vmcores, _WRITTEN_AT_THE_END, "s3:PutObject"),
                    write_index(parts.vmcores),
                    *bucket_and_key(parts.vmcores),
                    iam.PolicyStatement(actions=["sns:Publish"], resources=[parts.incidents.topic.topic_arn]),
                    grants.disarm_instances(cdk.Stack.of(self._scope)),
                ],
                # It reads vmcore-dmesg.txt, which has some MiB.
                timeout_seconds=120,
                memory_mib=512,
                acknowledged={
                    **named_objects_acknowledged(parts.vmcores, [*_READ_AT_THE_END, *_WRITTEN_AT_THE_END]),
                    **grants.any_instance_acknowledged(),
                },
            ),
        )
