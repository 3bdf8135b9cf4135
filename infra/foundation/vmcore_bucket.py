"""The vmcore bucket and its key. A vmcore holds keys, tokens and the page cache of its instance."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.foundation.acknowledgements import OF_THE_ACCESS_LOGS, OF_THE_VMCORES, acknowledge
from infra.settings import Settings
from lambdas.incident.object_keys import DIGESTS, FLEET, MANIFESTS, REPORTS, SWEEPS, VMCORES
from lambdas.runtime import environment


class VmcoreBucket(Construct):
    """Bucket and key; both outlive the stack."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self.key = kms.Key(
            self,
            "Key",
            alias="alias/hangdump-vmcores",
            description="Encrypts kernel crash dumps; who may use it can read the memory of crashed hosts",
            enable_key_rotation=True,
            removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        access_logs = self._access_logs(settings)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            lifecycle_rules=_lifecycle(settings),
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix="vmcore-bucket/",
            removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        acknowledge(self.bucket, OF_THE_VMCORES)
        self._deny_other_keys()
        # What stays keeps its protection, and its log of readers.
        for bucket in (self.bucket, access_logs):
            if bucket.policy is not None:
                bucket.policy.apply_removal_policy(cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)

    def _access_logs(self, settings: Settings) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "AccessLogs",
            # Log delivery can use a customer's key only if the key's policy allows the logging service.
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            lifecycle_rules=[
                s3.LifecycleRule(id="expire-access-logs", expiration=cdk.Duration.days(settings.log_retention_days))
            ],
            removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        acknowledge(bucket, OF_THE_ACCESS_LOGS)
        return bucket

    def _deny_other_keys(self) -> None:
        # "Null: false" means that the header is present. A request without it gets the bucket's default, our key.
        # UploadPart cannot have the header: StringNotEquals alone, also with IfExists, is true of an absent header and
        # would deny every part.
        for sid, header, ours in (
            ("DenyOtherKeys", "s3:x-amz-server-side-encryption-aws-kms-key-id", self.key.key_arn),
            ("DenyOtherEncryption", "s3:x-amz-server-side-encryption", "aws:kms"),
        ):
            self._deny_put(sid, {"StringNotEquals": {header: ours}, "Null": {header: "false"}})
        # SSE-C: an object with a customer-provided key could not be read without that key.
        self._deny_put("DenyCustomerKeys", {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}})

    def _deny_put(self, sid: str, conditions: dict[str, dict[str, str]]) -> None:
        self.bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:PutObject"],
                resources=[self.bucket.arn_for_objects("*")],
                conditions=conditions,
            )
        )


def _lifecycle(settings: Settings) -> list[s3.LifecycleRule]:
    rules = [
        s3.LifecycleRule(
            # No upload is resumed after so long. The parts of an abandoned upload cost as much as an object.
            id="abort-incomplete-uploads",
            abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
        ),
        s3.LifecycleRule(
            # Manifests hold presigned URLs, which expire long before.
            id="expire-manifests",
            prefix=MANIFESTS,
            expiration=cdk.Duration.days(1),
            noncurrent_version_expiration=cdk.Duration.days(1),
        ),
        s3.LifecycleRule(
            # As long as an upload may be resumed. After that manifest.json has the digests.
            id="expire-digests",
            prefix=DIGESTS,
            expiration=cdk.Duration.days(7),
            noncurrent_version_expiration=cdk.Duration.days(1),
        ),
        s3.LifecycleRule(
            # The index is rewritten every hour and after every incident.
            id="expire-old-indexes",
            prefix=REPORTS,
            noncurrent_version_expiration=cdk.Duration.days(1),
        ),
        s3.LifecycleRule(
            id="expire-sweeps",
            prefix=SWEEPS,
            expiration=cdk.Duration.days(settings.log_retention_days),
            noncurrent_version_expiration=cdk.Duration.days(30),
        ),
        s3.LifecycleRule(
            # A work list is read once; kept to see what an execution of EnrolFleet set out to do.
            id="expire-work-lists",
            prefix=FLEET,
            expiration=cdk.Duration.days(30),
            noncurrent_version_expiration=cdk.Duration.days(1),
        ),
        s3.LifecycleRule(
            # Time to undo a deletion by mistake.
            id="expire-deleted-vmcores",
            prefix=VMCORES,
            noncurrent_version_expiration=cdk.Duration.days(30),
        ),
    ]
    if settings.vmcore_retention_days:
        expiration = cdk.Duration.days(settings.vmcore_retention_days)
        rules.append(s3.LifecycleRule(id="expire-vmcores", prefix=VMCORES, expiration=expiration))
    return rules


def bucket_environment(vmcores: VmcoreBucket, **more: str) -> environment.VmcoreBucket:
    """The environment of functions that write to the bucket; `more` are further fields of the model."""
    return environment.VmcoreBucket(bucket_name=vmcores.bucket.bucket_name, key_arn=vmcores.key.key_arn, **more)


def bucket_name(vmcores: VmcoreBucket) -> environment.VmcoreBucketName:
    """The environment of functions that only read, complete and delete."""
    return environment.VmcoreBucketName(bucket_name=vmcores.bucket.bucket_name)


def objects(vmcores: VmcoreBucket, prefix: str, *actions: str) -> iam.PolicyStatement:
    """The actions on every object below the prefix."""
    return iam.PolicyStatement(actions=list(actions), resources=[vmcores.bucket.arn_for_objects(f"{prefix}*")])


def named_objects(vmcores: VmcoreBucket, keys: Sequence[str], *actions: str) -> iam.PolicyStatement:
    """The actions on objects with these keys; * stands for the instance and the incident."""
    return iam.PolicyStatement(actions=list(actions), resources=[vmcores.bucket.arn_for_objects(key) for key in keys])


def use_key(vmcores: VmcoreBucket) -> iam.PolicyStatement:
    """Use the key; S3 needs Decrypt for every part of a multipart upload."""
    return iam.PolicyStatement(actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[vmcores.key.key_arn])


def write_with_key(vmcores: VmcoreBucket) -> iam.PolicyStatement:
    """Write an object as a whole. Decrypt through S3 alone: until 2021 S3 asked for it with a Bucket Key, too."""
    return iam.PolicyStatement(
        actions=["kms:Decrypt", "kms:GenerateDataKey"],
        resources=[vmcores.key.key_arn],
        conditions={"StringEquals": {"kms:ViaService": f"s3.{cdk.Aws.REGION}.{cdk.Aws.URL_SUFFIX}"}},
    )


def bucket_and_key(vmcores: VmcoreBucket) -> list[iam.PolicyStatement]:
    """Rights for any use of an object. Without ListBucket, S3 answers 403 instead of 404 for a missing object."""
    return [list_objects(vmcores), use_key(vmcores)]


def list_objects(vmcores: VmcoreBucket) -> iam.PolicyStatement:
    """See which objects there are, and their sizes."""
    return iam.PolicyStatement(actions=["s3:ListBucket"], resources=[vmcores.bucket.bucket_arn])


def any_key_acknowledged(vmcores: VmcoreBucket, *prefixes: str) -> dict[str, str]:
    """For cdk-nag."""
    return named_objects_acknowledged(vmcores, [f"{prefix}*" for prefix in prefixes])


def named_objects_acknowledged(vmcores: VmcoreBucket, keys: Sequence[str]) -> dict[str, str]:
    """For cdk-nag: keys with a *."""
    logical_id = vmcores.bucket.stack.resolve(vmcores.bucket.bucket_arn)["Fn::GetAtt"][0]
    reason = "Keys hold the instance and the incident, which are not known when the stack is deployed."
    return {f"AwsSolutions-IAM5[Resource::<{logical_id}.Arn>/{key}]": reason for key in keys}
