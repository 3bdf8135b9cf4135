"""The functions of CollectVmcore: what each is told and may do."""

from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from constructs import Construct

from infra import grants
from infra.functions import Function, Needs, Shared
from infra.incidents import Incidents
from infra.interrupt_gate import (
    any_instance_acknowledged,
    gate_environment,
    gate_statements,
    probe_environment,
    probe_statements,
)
from infra.run_document import DocumentRunner
from infra.settings import Settings
from infra.vmcore_bucket import MANIFESTS, VMCORES, VmcoreBucket


@dataclass(frozen=True)
class Parts:
    """What the workflow is put together from."""

    incidents: Incidents
    vmcores: VmcoreBucket
    runner: DocumentRunner
    shared: Shared


class CollectFunctions:
    """Composes the functions into the scope of their workflow; no construct of its own."""

    def __init__(self, scope: Construct, *, parts: Parts, settings: Settings) -> None:
        self._scope = scope
        self._parts = parts
        self._settings = settings
        self._table = {"TABLE_NAME": parts.incidents.table.table_name}
        self._bucket = {"BUCKET_NAME": parts.vmcores.bucket.bucket_name, "KEY_ARN": parts.vmcores.key.key_arn}
        self.open_incident = self._open_incident()
        self.send_diagnostic_interrupt = self._send_diagnostic_interrupt()
        self.watch_dump = self._watch_dump()
        self.plan_upload = self._plan_upload()
        self.verify_vmcore = self._verify_vmcore()
        self.conclude_incident = self._conclude_incident()

    def all(self) -> list[Function]:
        """Every function, in the order of the story."""
        return [
            *(self.open_incident, self.send_diagnostic_interrupt, self.watch_dump),
            *(self.plan_upload, self.verify_vmcore, self.conclude_incident),
        ]

    def _function(self, verb_phrase: str, needs: Needs) -> Function:
        return Function(self._scope, verb_phrase, shared=self._parts.shared, needs=needs)

    def _open_incident(self) -> Function:
        return self._function(
            "open_incident",
            Needs(
                environment={**self._table, "DUMP_TIMEOUT_SECONDS": str(self._settings.dump_timeout_seconds)},
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
                environment=gate_environment(parts.incidents, self._settings),
                statements=gate_statements(self._scope, parts.incidents),
                timeout_seconds=120,
                acknowledged=any_instance_acknowledged(),
            ),
        )

    def _watch_dump(self) -> Function:
        parts = self._parts
        return self._function(
            "watch_dump",
            Needs(
                environment={**self._table, **probe_environment(parts.runner, self._settings)},
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

    def _plan_upload(self) -> Function:
        return self._function(
            "plan_upload",
            Needs(
                environment={
                    **self._table,
                    **self._bucket,
                    "UPLOAD_ENDPOINT_URL": self._settings.upload_endpoint_url,
                },
                statements=[
                    grants.keep_records(self._parts.incidents.table),
                    # Its presigned URLs carry these rights, each for one part of one key, to the instance.
                    self._objects(
                        VMCORES,
                        "s3:PutObject",
                        "s3:GetObject",
                        "s3:ListMultipartUploadParts",
                        "s3:AbortMultipartUpload",
                    ),
                    self._objects(MANIFESTS, "s3:PutObject", "s3:GetObject"),
                    *self._bucket_and_key(),
                ],
                # Up to 400 presigned URLs.
                timeout_seconds=120,
                memory_mib=512,
                acknowledged=self._acknowledged(VMCORES, MANIFESTS),
            ),
        )

    def _verify_vmcore(self) -> Function:
        return self._function(
            "verify_vmcore",
            Needs(
                environment={**self._table, "BUCKET_NAME": self._bucket["BUCKET_NAME"]},
                statements=[
                    grants.keep_records(self._parts.incidents.table),
                    self._objects(
                        VMCORES,
                        "s3:PutObject",
                        "s3:GetObject",
                        "s3:ListMultipartUploadParts",
                        "s3:AbortMultipartUpload",
                        "s3:DeleteObject",
                        "s3:DeleteObjectVersion",
                    ),
                    *self._bucket_and_key(),
                ],
                # CompleteMultipartUpload of a large object takes minutes.
                timeout_seconds=900,
                acknowledged=self._acknowledged(VMCORES),
            ),
        )

    def _conclude_incident(self) -> Function:
        parts = self._parts
        return self._function(
            "conclude_incident",
            Needs(
                environment={**self._table, **self._bucket, "TOPIC_ARN": parts.incidents.topic.topic_arn},
                statements=[
                    grants.keep_records(parts.incidents.table),
                    grants.read("ec2:GetConsoleOutput"),
                    self._objects(VMCORES, "s3:PutObject", "s3:GetObject"),
                    *self._bucket_and_key(),
                    iam.PolicyStatement(actions=["sns:Publish"], resources=[parts.incidents.topic.topic_arn]),
                ],
                # It reads vmcore-dmesg.txt, some MiB.
                timeout_seconds=120,
                memory_mib=512,
                acknowledged=self._acknowledged(VMCORES),
            ),
        )

    def _objects(self, prefix: str, *actions: str) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            actions=list(actions), resources=[self._parts.vmcores.bucket.arn_for_objects(f"{prefix}*")]
        )

    def _bucket_and_key(self) -> list[iam.PolicyStatement]:
        vmcores = self._parts.vmcores
        return [
            # Without it S3 answers 403 instead of 404 for an object that does not exist.
            iam.PolicyStatement(actions=["s3:ListBucket"], resources=[vmcores.bucket.bucket_arn]),
            # Decrypt: S3 asks for it on every part of a multipart upload.
            iam.PolicyStatement(actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[vmcores.key.key_arn]),
        ]

    def _acknowledged(self, *prefixes: str) -> dict[str, str]:
        bucket = self._parts.vmcores.bucket
        logical_id = bucket.stack.resolve(bucket.bucket_arn)["Fn::GetAtt"][0]
        reason = "Keys hold the instance and the incident, which are not known when the stack is deployed."
        return {f"AwsSolutions-IAM5[Resource::<{logical_id}.Arn>/{prefix}*]": reason for prefix in prefixes}
