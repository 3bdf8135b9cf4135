"""The functions of the upload, and the role whose sessions sign the URLs for instances."""

from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.foundation import grants
from infra.foundation.acknowledgements import acknowledge
from infra.foundation.functions import Function, FunctionConfig
from infra.foundation.vmcore_bucket import (
    any_key_acknowledged,
    bucket_and_key,
    bucket_environment,
    bucket_name,
    named_objects,
    named_objects_acknowledged,
    objects,
    use_key,
)
from infra.parts import Parts
from infra.settings import Settings
from lambdas.incident.object_keys import DIGESTS, MANIFESTS, VMCORES, keys
from lambdas.runtime import environment

_VMCORE, _DMESG = (keys(f"{VMCORES}*/")[name] for name in ("vmcore", "dmesg"))
_SEE_PARTS = ("s3:ListMultipartUploadParts", "s3:AbortMultipartUpload")


class UploadFunctions:
    """Composes the functions into the scope of their workflow; no construct of its own."""

    def __init__(self, scope: Construct, *, parts: Parts, settings: Settings) -> None:
        self._scope = scope
        self._parts = parts
        self._table = [parts.incidents.records]
        self.plan_upload = self._plan_upload(settings)
        self._let_plan_upload_sign()
        self.watch_upload = self._watch_upload()
        self.verify_vmcore = self._verify_vmcore()
        self.open_vmcore = self._open_vmcore()

    def all(self) -> list[Function]:
        """Every function, in the order of their use."""
        return [self.plan_upload, self.watch_upload, self.verify_vmcore, self.open_vmcore]

    def _function(self, verb_phrase: str, needs: FunctionConfig) -> Function:
        return Function(self._scope, verb_phrase, shared=self._parts.shared, config=needs)

    def _plan_upload(self, settings: Settings) -> Function:
        vmcores = self._parts.vmcores
        return self._function(
            "plan_upload",
            FunctionConfig(
                environment=[
                    *self._table,
                    bucket_environment(vmcores, upload_endpoint_url=settings.upload_endpoint_url),
                    environment.UploadRates.of(settings),
                ],
                statements=[
                    grants.amend_incidents(self._parts.incidents.table),
                    objects(vmcores, VMCORES, "s3:PutObject", *_SEE_PARTS),
                    # HEAD: whether an earlier round has sent it.
                    named_objects(vmcores, [_DMESG], "s3:GetObject"),
                    objects(vmcores, MANIFESTS, "s3:PutObject"),
                    objects(vmcores, DIGESTS, "s3:GetObject"),
                    *bucket_and_key(vmcores),
                ],
                # Up to 2,000 presigned URLs, and a list of digests for each batch so far.
                timeout_seconds=120,
                memory_mib=512,
                acknowledged={
                    **any_key_acknowledged(vmcores, VMCORES, MANIFESTS, DIGESTS),
                    **named_objects_acknowledged(vmcores, [_DMESG]),
                },
            ),
        )

    def _let_plan_upload_sign(self) -> None:
        """Adds the role that signs. A presigned URL has its signer's rights, so the role has no others."""
        vmcores = self._parts.vmcores
        planner = self.plan_upload.role
        assert planner is not None  # noqa: S101 - Function always has one
        role = iam.Role(
            self._scope,
            "uploader_role",
            description="Signs the URLs with which instances upload one vmcore",
            assumed_by=iam.ArnPrincipal(planner.role_arn),
        )
        role.add_to_policy(objects(vmcores, VMCORES, "s3:PutObject"))
        role.add_to_policy(objects(vmcores, DIGESTS, "s3:PutObject"))
        role.add_to_policy(objects(vmcores, MANIFESTS, "s3:GetObject"))
        role.add_to_policy(use_key(vmcores))
        acknowledge(role, any_key_acknowledged(vmcores, VMCORES, MANIFESTS, DIGESTS))
        planner.add_to_principal_policy(iam.PolicyStatement(actions=["sts:AssumeRole"], resources=[role.role_arn]))
        self.plan_upload.add_variables(environment.UploaderRole(uploader_role_arn=role.role_arn))

    def _watch_upload(self) -> Function:
        vmcores = self._parts.vmcores
        return self._function(
            "watch_upload",
            FunctionConfig(
                environment=[bucket_name(vmcores)],
                statements=[
                    grants.read("ssm:GetCommandInvocation"),
                    objects(vmcores, VMCORES, "s3:ListMultipartUploadParts"),
                    # S3 lists the parts of an encrypted upload only to those who may decrypt them.
                    iam.PolicyStatement(actions=["kms:Decrypt"], resources=[vmcores.key.key_arn]),
                ],
                acknowledged=any_key_acknowledged(vmcores, VMCORES),
            ),
        )

    def _verify_vmcore(self) -> Function:
        vmcores = self._parts.vmcores
        return self._function(
            "verify_vmcore",
            FunctionConfig(
                environment=[*self._table, bucket_name(vmcores)],
                statements=[
                    grants.amend_incidents(self._parts.incidents.table),
                    objects(vmcores, VMCORES, "s3:PutObject", "s3:GetObject", *_SEE_PARTS),
                    # The bucket has versions, so what is deleted is one of them.
                    named_objects(vmcores, [_VMCORE], "s3:DeleteObjectVersion"),
                    objects(vmcores, DIGESTS, "s3:GetObject"),
                    *bucket_and_key(vmcores),
                ],
                # CompleteMultipartUpload of a large object takes minutes.
                timeout_seconds=900,
                acknowledged={
                    **any_key_acknowledged(vmcores, VMCORES, DIGESTS),
                    **named_objects_acknowledged(vmcores, [_VMCORE]),
                },
            ),
        )

    def _open_vmcore(self) -> Function:
        vmcores = self._parts.vmcores
        names = keys(f"{VMCORES}*/")
        readable, written = [names["vmcore"], names["dmesg"]], names["log"]
        return self._function(
            "open_vmcore",
            FunctionConfig(
                environment=[*self._table, bucket_environment(vmcores)],
                statements=[
                    grants.amend_incidents(self._parts.incidents.table),
                    named_objects(vmcores, readable, "s3:GetObject"),
                    named_objects(vmcores, [written], "s3:PutObject"),
                    *bucket_and_key(vmcores),
                ],
                # Usually a second; for 24 TiB of memory it counts the bits of a 768 MiB bitmap.
                timeout_seconds=300,
                memory_mib=1024,
                acknowledged=named_objects_acknowledged(vmcores, [*readable, written]),
            ),
        )
