"""What a function is told of the vmcore bucket, and which rights it may have there."""

from collections.abc import Sequence

from aws_cdk import aws_iam as iam

from infra.vmcore_bucket import VmcoreBucket


def bucket_environment(vmcores: VmcoreBucket) -> dict[str, str]:
    """For the environment model VmcoreBucket."""
    return {"BUCKET_NAME": vmcores.bucket.bucket_name, "KEY_ARN": vmcores.key.key_arn}


def objects(vmcores: VmcoreBucket, prefix: str, *actions: str) -> iam.PolicyStatement:
    """These actions on every object below the prefix."""
    return iam.PolicyStatement(actions=list(actions), resources=[vmcores.bucket.arn_for_objects(f"{prefix}*")])


def named_objects(vmcores: VmcoreBucket, keys: Sequence[str], *actions: str) -> iam.PolicyStatement:
    """These actions on objects with these keys, in which * stands for the instance and the incident."""
    return iam.PolicyStatement(actions=list(actions), resources=[vmcores.bucket.arn_for_objects(key) for key in keys])


def use_key(vmcores: VmcoreBucket) -> iam.PolicyStatement:
    """Decrypt: S3 asks for it on every part of a multipart upload."""
    return iam.PolicyStatement(actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[vmcores.key.key_arn])


def bucket_and_key(vmcores: VmcoreBucket) -> list[iam.PolicyStatement]:
    """What every use of an object needs. Without ListBucket S3 answers 403 instead of 404 for one that is not there."""
    return [
        iam.PolicyStatement(actions=["s3:ListBucket"], resources=[vmcores.bucket.bucket_arn]),
        use_key(vmcores),
    ]


def any_key_acknowledged(vmcores: VmcoreBucket, *prefixes: str) -> dict[str, str]:
    """For cdk-nag."""
    return named_objects_acknowledged(vmcores, [f"{prefix}*" for prefix in prefixes])


def named_objects_acknowledged(vmcores: VmcoreBucket, keys: Sequence[str]) -> dict[str, str]:
    """For cdk-nag: keys with a *."""
    logical_id = vmcores.bucket.stack.resolve(vmcores.bucket.bucket_arn)["Fn::GetAtt"][0]
    reason = "Keys hold the instance and the incident, which are not known when the stack is deployed."
    return {f"AwsSolutions-IAM5[Resource::<{logical_id}.Arn>/{key}]": reason for key in keys}
