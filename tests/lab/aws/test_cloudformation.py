"""Deploying: assets, resources that moto lacks, and refusals by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.aws.account import LabAccount
from lab.aws.cloudformation import RolledBack, UnsupportedResource
from tests.lab.aws.assembly import ROLE_ARN, document, function, state_machine, template, write_assembly

PASS = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}


def _deploy(
    account: LabAccount, tmp_path: Path, name: str, resources: dict[str, Any], **sections: Any
) -> dict[str, str]:
    assembly = write_assembly(tmp_path, {"code.py": "def handler(e, c): return 1"})
    (assembly / "Hangdump.assets.json").rename(assembly / f"{name}.assets.json")
    return account.deploy({**template(**resources), **sections}, assembly, stack_name=name)


def test_an_unknown_type_is_refused_by_name(account: LabAccount, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedResource, match="AWS::Nothing::Here"):
        _deploy(account, tmp_path, "Unknown", {"X": {"Type": "AWS::Nothing::Here"}})


def test_an_attribute_that_cannot_be_resolved_is_refused(account: LabAccount, tmp_path: Path) -> None:
    parameter = {"Type": "String", "Value": {"Fn::GetAtt": ["Topic", "NoSuchAttribute"]}}
    resources = {
        "Topic": {"Type": "AWS::SNS::Topic"},
        "P": {"Type": "AWS::SSM::Parameter", "Properties": parameter},
    }
    with pytest.raises(Exception, match="NoSuchAttribute"):
        _deploy(account, tmp_path, "Unresolved", resources)


def test_an_error_says_which_resource(account: LabAccount, tmp_path: Path) -> None:
    broken = function("code.handler", Layers=["arn:aws:lambda:eu-central-1:1:layer:x:1"])
    with pytest.raises(NotImplementedError) as refused:
        _deploy(account, tmp_path, "Broken", {"MyFunction": broken})
    assert "while creating MyFunction, AWS::Lambda::Function" in refused.value.__notes__


def _switch(description: str) -> dict[str, Any]:
    properties = {"Name": "/switch", "Type": "String", "Value": "on", "Description": description}
    return {"Type": "AWS::SSM::Parameter", "Properties": properties}


def test_an_update_writes_a_parameter_again_only_if_its_properties_change(account: LabAccount, tmp_path: Path) -> None:
    ssm = account.client("ssm")

    def value_after(description: str, more: dict[str, Any]) -> str:
        _deploy(account, tmp_path, "Switch", {"S": _switch(description), **more})
        return str(ssm.get_parameter(Name="/switch")["Parameter"]["Value"])

    assert value_after("A switch", {}) == "on"
    ssm.put_parameter(Name="/switch", Value="off", Overwrite=True)
    assert value_after("A switch", {"T": {"Type": "AWS::SNS::Topic"}}) == "off"
    assert value_after("The switch", {}) == "on"


def test_an_update_that_fails_is_rolled_back_and_says_why(account: LabAccount, tmp_path: Path) -> None:
    first, second = (state_machine("Rolled", {**PASS, "Comment": each}) for each in ("first", "second"))
    role = {"Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}}
    _deploy(account, tmp_path, "Rollback", {**role, "M": first})
    with pytest.raises(RolledBack) as failed:
        _deploy(account, tmp_path, "Rollback", {**role, "M": second, "X": {"Type": "AWS::Nothing::Here"}})
    assert "AWS::Nothing::Here" in str(failed.value.__cause__)
    stepfunctions = account.client("stepfunctions")
    (arn,) = [
        each["stateMachineArn"]
        for each in stepfunctions.list_state_machines()["stateMachines"]
        if each["name"] == "Rolled"
    ]
    assert json.loads(stepfunctions.describe_state_machine(stateMachineArn=arn)["definition"])["Comment"] == "first"
    assert account.client("cloudformation").describe_stacks(StackName="Rollback")["Stacks"][0]["StackStatus"] == (
        "UPDATE_ROLLBACK_COMPLETE"
    )


def test_an_update_that_would_be_done_in_part_is_refused(account: LabAccount, tmp_path: Path) -> None:
    def role(**properties: Any) -> dict[str, Any]:
        document: dict[str, Any] = {"AssumeRolePolicyDocument": {"Statement": []}}
        return {"R": {"Type": "AWS::IAM::Role", "Properties": {**document, **properties}}}

    _deploy(account, tmp_path, "Partly", role())
    _deploy(account, tmp_path, "Partly", role(Description="Another"))
    with pytest.raises(RolledBack) as refused:
        _deploy(account, tmp_path, "Partly", role(Description="Another", MaxSessionDuration=7200))
    assert "MaxSessionDuration" in str(refused.value.__cause__)


def test_a_removal_keeps_what_has_a_policy_to_stay(account: LabAccount, tmp_path: Path) -> None:
    def bucket(policy: str) -> dict[str, Any]:
        return {"Type": "AWS::S3::Bucket", "DeletionPolicy": policy, "Properties": {"BucketName": policy.lower()}}

    policies = ("Delete", "Retain", "RetainExceptOnCreate")
    _deploy(account, tmp_path, "Removal", {each: bucket(each) for each in policies})
    account.destroy(stack_name="Removal")
    left = {each["Name"] for each in account.client("s3").list_buckets()["Buckets"]}
    assert left & {each.lower() for each in policies} == {"retain", "retainexceptoncreate"}


def test_outputs_are_given(account: LabAccount, tmp_path: Path) -> None:
    outputs = {"Outputs": {"Name": {"Value": {"Ref": "D"}}}}
    assert _deploy(account, tmp_path, "Outputs", {"D": document("Doc", ["echo"])}, **outputs) == {"Name": "Doc"}


def test_a_bucket_has_its_versioning_and_its_policy(account: LabAccount, tmp_path: Path) -> None:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::kept/*"}
    bucket = {"BucketName": "kept", "VersioningConfiguration": {"Status": "Enabled"}}
    policy = {"Bucket": {"Ref": "B"}, "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
    resources = {
        "B": {"Type": "AWS::S3::Bucket", "Properties": bucket},
        "Policy": {"Type": "AWS::S3::BucketPolicy", "Properties": policy},
    }
    _deploy(account, tmp_path, "Bucket", resources)
    s3 = account.client("s3")
    assert s3.get_bucket_versioning(Bucket="kept")["Status"] == "Enabled"
    assert json.loads(s3.get_bucket_policy(Bucket="kept")["Policy"])["Statement"] == [statement]


def test_a_table_has_its_time_to_live(account: LabAccount, tmp_path: Path) -> None:
    table = {
        "TableName": "Items",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "TimeToLiveSpecification": {"AttributeName": "expiresAtEpoch", "Enabled": True},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    }
    _deploy(account, tmp_path, "Table", {"T": {"Type": "AWS::DynamoDB::Table", "Properties": table}})
    found = account.client("dynamodb").describe_time_to_live(TableName="Items")["TimeToLiveDescription"]
    assert found == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expiresAtEpoch"}


def test_a_key_with_tags_and_its_alias_are_created(account: LabAccount, tmp_path: Path) -> None:
    policy = {"Version": "2012-10-17", "Statement": []}
    key = {"KeyPolicy": policy, "Tags": [{"Key": "a", "Value": "b"}], "EnableKeyRotation": True}
    resources = {
        "K": {"Type": "AWS::KMS::Key", "Properties": key},
        "A": {"Type": "AWS::KMS::Alias", "Properties": {"AliasName": "alias/lab", "TargetKeyId": {"Ref": "K"}}},
    }
    _deploy(account, tmp_path, "Key", resources)
    kms = account.client("kms")
    found = kms.describe_key(KeyId="alias/lab")["KeyMetadata"]
    assert found["Enabled"]
    assert kms.list_resource_tags(KeyId=found["KeyId"])["Tags"] == [{"TagKey": "a", "TagValue": "b"}]


def test_a_parameter_has_its_value_and_its_tags(account: LabAccount, tmp_path: Path) -> None:
    parameter = {"Name": "/lab/switch", "Type": "String", "Value": "on", "Tags": {"a": "b"}}
    outputs = {"Outputs": {"Name": {"Value": {"Ref": "P"}}}}
    resources = {"P": {"Type": "AWS::SSM::Parameter", "Properties": parameter}}
    assert _deploy(account, tmp_path, "Parameter", resources, **outputs) == {"Name": "/lab/switch"}
    ssm = account.client("ssm")
    assert ssm.get_parameter(Name="/lab/switch")["Parameter"]["Value"] == "on"
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/lab/switch")["TagList"]
    assert tags == [{"Key": "a", "Value": "b"}]


def test_a_log_group_has_its_retention(account: LabAccount, tmp_path: Path) -> None:
    group = {"LogGroupName": "/lab", "RetentionInDays": 30}
    _deploy(account, tmp_path, "Logs", {"L": {"Type": "AWS::Logs::LogGroup", "Properties": group}})
    assert (
        account.client("logs").describe_log_groups(logGroupNamePrefix="/lab")["logGroups"][0]["retentionInDays"] == 30
    )


def test_a_topic_has_its_policy_and_its_subscription(account: LabAccount, tmp_path: Path) -> None:
    topic = {"Ref": "T"}
    policy = {"Topics": [topic], "PolicyDocument": {"Version": "2012-10-17", "Statement": []}}
    subscription = {"TopicArn": topic, "Protocol": "email", "Endpoint": "me@example.com"}
    resources = {
        "T": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "Told"}},
        "P": {"Type": "AWS::SNS::TopicPolicy", "Properties": policy},
        "S": {"Type": "AWS::SNS::Subscription", "Properties": subscription},
    }
    _deploy(account, tmp_path, "Topic", resources)
    sns, arn = account.client("sns"), f"arn:aws:sns:{account.region}:{account.account_id}:Told"
    assert sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"][0]["Endpoint"] == "me@example.com"
    assert json.loads(sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])["Statement"] == []


def test_a_state_machine_can_be_executed_with_its_substitutions(account: LabAccount, tmp_path: Path) -> None:
    definition = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": "${word}", "End": True}}}
    _deploy(account, tmp_path, "Machine", {"M": state_machine("M", definition, word=ROLE_ARN)})
    ended = account.wait_for_execution(account.start_execution("M", {}), timeout_seconds=10)
    assert ended["output"].startswith("arn:aws:iam::")


def test_a_definition_that_is_no_state_machine_fails_the_stack(account: LabAccount, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"InvalidDefinition|definition"):
        _deploy(account, tmp_path, "Invalid", {"M": state_machine("Invalid", {"StartAt": "P"})})


def test_metadata_of_the_cdk_do_nothing(account: LabAccount, tmp_path: Path) -> None:
    assert _deploy(account, tmp_path, "Metadata", {"M": {"Type": "AWS::CDK::Metadata", "Properties": {}}}) == {}


def test_a_dashboard_is_kept_as_it_was_written(account: LabAccount, tmp_path: Path) -> None:
    body = json.dumps({"widgets": [{"type": "text", "properties": {"markdown": "well"}}]})
    properties = {"DashboardName": "Well", "DashboardBody": {"Fn::Join": ["", [body[:10], body[10:]]]}}
    _deploy(account, tmp_path, "Dashboard", {"D": {"Type": "AWS::CloudWatch::Dashboard", "Properties": properties}})
    kept = account.client("cloudwatch").get_dashboard(DashboardName="Well")
    assert json.loads(kept["DashboardBody"]) == json.loads(body)


def test_a_query_over_a_log_group_that_does_not_exist_is_refused(account: LabAccount, tmp_path: Path) -> None:
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "there"}}
    query = {"Name": "Q", "QueryString": "fields @message", "LogGroupNames": [{"Ref": "G"}]}
    resources = {"G": group, "Q": {"Type": "AWS::Logs::QueryDefinition", "Properties": query}}
    _deploy(account, tmp_path, "Query", resources)
    query["LogGroupNames"] = ["elsewhere"]
    with pytest.raises(ValueError, match="elsewhere"):
        _deploy(account, tmp_path, "NoQuery", {"Q": resources["Q"]})
