"""What calls ask IAM for, with which keys, and how each service says no."""

from collections.abc import Mapping
from typing import Any

import pytest

from lab.aws.iam import requests
from lab.aws.iam.actions import NoSuchRequest, facts_that_aws_sends
from lab.aws.iam.enforcement import refusal
from lab.aws.iam.policy import Caller, Denied
from lab.aws.iam.requests import Asked, asked

OWN, OTHER = "111122223333", "444455556666"
KEY = f"arn:aws:kms:eu-west-1:{OTHER}:key/1"


class SharedNetwork:
    """An account in a VPC of another one, whose volumes another one's key encrypts."""

    account_id, region = OWN, "eu-west-1"

    def arn(self, resource: str) -> str:
        owner = OTHER if resource.startswith(("ec2:subnet", "ec2:security-group")) else OWN
        service, _, rest = resource.partition(":")
        return f"arn:aws:{service}:{self.region}:{owner}:{rest}"

    def tags(self, resource_id: str) -> Mapping[str, str]:
        return {"hangdump:enrolled": "true"} if resource_id.startswith("i-") else {}

    def default_ebs_key(self) -> str:
        return KEY

    def key_of_volume(self, resource_id: str) -> str:
        return KEY

    def volumes_of(self, instance_id: str) -> list[str]:
        return ["vol-1", "vol-2"]

    def key_of_bucket(self, bucket: str) -> str:
        return KEY

    def key_of_topic(self, topic_arn: str) -> str:
        return ""

    def group_arn(self, name: str) -> str:
        return self.arn(f"autoscaling:autoScalingGroup:1:autoScalingGroupName/{name}")

    def function_arn(self, name_or_arn: str) -> str:
        return self.arn(f"lambda:function:{name_or_arn}")

    def role_of_profile(self, profile_arn: str) -> str:
        return f"arn:aws:iam::{OWN}:role/rescue"


def actions(service: str, operation: str, **parameters: Any) -> list[tuple[str, str]]:
    return [(each.action, each.resource) for each in asked(service, operation, parameters, SharedNetwork())]


def test_a_launch_asks_for_every_resource_that_it_touches() -> None:
    found = actions(
        *("ec2", "RunInstances"),
        ImageId="resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023",
        IamInstanceProfile={"Arn": f"arn:aws:iam::{OWN}:instance-profile/rescue"},
        NetworkInterfaces=[{"SubnetId": "subnet-1", "Groups": ["sg-1"]}],
        BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": "snap-1"}}],
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}],
    )
    launched = {resource.split(":")[-1].split("/")[0] for action, resource in found if action == "ec2:RunInstances"}
    kinds = {"image", "instance", "network-interface", "security-group", "snapshot", "subnet", "volume"}
    assert launched == kinds
    assert ("ec2:RunInstances", f"arn:aws:ec2:eu-west-1:{OTHER}:subnet/subnet-1") in found
    assert ("iam:PassRole", f"arn:aws:iam::{OWN}:role/rescue") in found
    assert ("kms:CreateGrant", KEY) in found
    assert ("ec2:CreateTags", f"arn:aws:ec2:eu-west-1:{OWN}:instance/*") in found
    public = "arn:aws:ssm:eu-west-1::parameter/aws/service/ami-amazon-linux-latest/al2023"
    assert ("ssm:GetParameters", public) in found


def test_the_parts_of_an_encrypted_upload_are_listed_to_whom_may_decrypt() -> None:
    found = actions("s3", "ListParts", Bucket="dumps", Key="a/vmcore", UploadId="1")
    assert found == [("s3:ListMultipartUploadParts", "arn:aws:s3:::dumps/a/vmcore"), ("kms:Decrypt", KEY)]


def test_a_transaction_asks_for_each_of_its_items() -> None:
    update, check = (
        {"TableName": "incidents", "Key": {"pk": {"S": key}}} for key in ("incident#1", "fleet#2026-11-23")
    )
    found = asked(
        "dynamodb",
        "TransactWriteItems",
        {"TransactItems": [{"Update": update}, {"ConditionCheck": check}]},
        SharedNetwork(),
    )
    assert [(each.action, each.facts["dynamodb:LeadingKeys"]) for each in found] == [
        ("dynamodb:UpdateItem", ("incident#1",)),
        ("dynamodb:ConditionCheckItem", ("fleet#2026-11-23",)),
    ]


def test_tags_that_are_not_named_are_no_keys_of_the_request() -> None:
    (found,) = asked("ec2", "DeleteTags", {"Resources": ["i-1"]}, SharedNetwork())
    assert "aws:TagKeys" not in found.facts


def test_an_operation_that_nobody_has_looked_up_is_an_error() -> None:
    with pytest.raises(NotImplementedError, match="ec2:CopyImage"):
        asked("ec2", "CopyImage", {}, SharedNetwork())


@pytest.mark.parametrize("action", sorted(requests._WITHOUT_RESOURCE))
def test_what_is_asked_for_without_a_resource_needs_none(action: str) -> None:
    facts_that_aws_sends(Asked(action))


@pytest.mark.parametrize(
    ("action", "kind"),
    [("ec2:CreateVolumes", "volume"), ("ec2:CreateVolume", "instance"), ("ec2:AttachVolume", "")],
    ids=["no-action", "not-on-this-kind", "not-on-nothing"],
)
def test_a_request_that_aws_does_not_know_is_an_error(action: str, kind: str) -> None:
    with pytest.raises(NoSuchRequest):
        facts_that_aws_sends(Asked(action, "*", kind))


def test_a_key_that_aws_does_not_send_is_not_there() -> None:
    facts = {"aws:ResourceTag/a": "b", "aws:RequestTag/a": "b", "ec2:InstanceType": "m5.large"}
    sent = facts_that_aws_sends(Asked("ec2:SendDiagnosticInterrupt", "*", "instance", facts))
    assert sent == {"aws:ResourceTag/a": "b", "ec2:InstanceType": "m5.large"}


@pytest.mark.parametrize(
    ("service", "operation", "action", "code"),
    [
        ("ec2", "RunInstances", "ec2:RunInstances", "UnauthorizedOperation"),
        ("ssm", "SendCommand", "ssm:SendCommand", "AccessDeniedException"),
        ("s3", "GetObject", "s3:GetObject", "AccessDenied"),
        ("s3", "HeadObject", "s3:GetObject", "403"),
        ("sns", "Publish", "sns:Publish", "AuthorizationError"),
        ("sns", "Publish", "kms:Decrypt", "KMSAccessDenied"),
    ],
)
def test_each_service_refuses_in_its_own_words(service: str, operation: str, action: str, code: str) -> None:
    caller = Caller("plan_upload", f"arn:aws:iam::{OWN}:role/plan_upload")
    error = refusal(
        caller, Asked(action, "arn:x"), Denied("because no identity-based policy allows the action"), service, operation
    )
    assert error.response["Error"]["Code"] == code
    assert f"is not authorized to perform: {action} on resource: arn:x because no identity" in str(error)
