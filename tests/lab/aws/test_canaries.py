"""What moto gets wrong by itself. A test that fails here says: moto does it right by now, remove the patch named."""

import json
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.backends import get_backend
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.utils.json_path import extract_json

REGION = "eu-central-1"
ROLE = "arn:aws:iam::123456789012:role/r"


@pytest.fixture(autouse=True)
def bare_moto() -> Iterator[None]:
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}):
        yield


def _client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)  # type: ignore[call-overload]


def _instance() -> str:
    reservation = _client("ec2").run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)
    instance_id: str = reservation["Instances"][0]["InstanceId"]
    return instance_id


def test_moto_has_a_canned_console() -> None:
    assert "Xen" in _client("ec2").get_console_output(InstanceId=_instance())["Output"]


def test_moto_attaches_a_volume_of_another_zone_at_once() -> None:
    ec2 = _client("ec2")
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}c", Size=8)["VolumeId"]
    ec2.attach_volume(VolumeId=volume, InstanceId=_instance(), Device="/dev/sda1")
    assert ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"][0]["State"] == "attached"


def test_moto_creates_two_volumes_for_one_client_token() -> None:
    ec2 = _client("ec2")
    ids = {ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=8, ClientToken="t")["VolumeId"] for _ in range(2)}
    assert len(ids) == 2


def test_moto_cannot_detach_without_an_instance_id() -> None:
    ec2 = _client("ec2")
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=8)["VolumeId"]
    ec2.attach_volume(VolumeId=volume, InstanceId=_instance(), Device="/dev/sdf")
    with pytest.raises(Exception, match="None"):
        ec2.detach_volume(VolumeId=volume)


def test_moto_runs_unknown_documents_successfully_without_running_anything() -> None:
    ssm, instance_id = _client("ssm"), _instance()
    command = ssm.send_command(DocumentName="Nowhere", InstanceIds=[instance_id], Parameters={"no": ["such"]})
    found = ssm.get_command_invocation(CommandId=command["Command"]["CommandId"], InstanceId=instance_id)
    assert found["Status"] == "Success"


def test_moto_starts_alarms_in_ok() -> None:
    cloudwatch = _client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="a",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        MetricName="m",
        Namespace="n",
        Period=60,
        Statistic="Sum",
        Threshold=1,
    )
    assert cloudwatch.describe_alarms()["MetricAlarms"][0]["StateValue"] == "OK"


def test_moto_compares_times_with_and_without_a_zone() -> None:
    cloudwatch, now = _client("cloudwatch"), datetime.now(UTC)
    get_backend("cloudwatch")["123456789012"][REGION].put_metric_data(
        "n", [{"MetricName": "m", "Value": 1.0, "Timestamp": now, "Dimensions": []}]
    )
    query = {"Id": "q", "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "m"}, "Period": 60, "Stat": "Sum"}}
    with pytest.raises(TypeError):
        cloudwatch.get_metric_data(MetricDataQueries=[query], StartTime=now - timedelta(hours=1), EndTime=now)


def test_moto_believes_a_wrong_checksum() -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"x", ChecksumSHA256="n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=")


def test_moto_lists_parts_without_their_checksums() -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="bucket")
    upload = s3.create_multipart_upload(Bucket="bucket", Key="k", ChecksumAlgorithm="SHA256")["UploadId"]
    s3.upload_part(Bucket="bucket", Key="k", UploadId=upload, PartNumber=1, Body=b"x", ChecksumAlgorithm="SHA256")
    assert "ChecksumSHA256" not in s3.list_parts(Bucket="bucket", Key="k", UploadId=upload)["Parts"][0]


def test_moto_ignores_the_conditions_of_a_bucket_policy() -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="bucket")
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/*"}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Condition": condition}]}
    s3.put_bucket_policy(Bucket="bucket", Policy=json.dumps(policy))
    with pytest.raises(ClientError, match="403"):
        s3.put_object(Bucket="bucket", Key="k", Body=b"x")


def test_moto_skips_resources_it_does_not_know() -> None:
    template = {"Resources": {"P": {"Type": "AWS::S3::BucketPolicy", "Properties": {"Bucket": "bucket"}}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _client("cloudformation").create_stack(StackName="s", TemplateBody=json.dumps(template))


def test_moto_keeps_a_documents_content_as_a_python_object() -> None:
    content = {"schemaVersion": "2.2", "mainSteps": []}
    properties = {"Name": "Doc", "DocumentType": "Command", "DocumentFormat": "JSON", "Content": content}
    template = {"Resources": {"D": {"Type": "AWS::SSM::Document", "Properties": properties}}}
    _client("cloudformation").create_stack(StackName="s", TemplateBody=json.dumps(template))
    assert _client("ssm").get_document(Name="Doc")["Content"] != json.dumps(content)


def test_moto_takes_no_map_of_tags_for_a_parameter() -> None:
    properties = {"Name": "/p", "Type": "String", "Value": "on", "Tags": {"a": "b"}}
    template = {"Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": properties}}}
    with pytest.raises(TypeError):
        _client("cloudformation").create_stack(StackName="s", TemplateBody=json.dumps(template))


def test_moto_names_sdk_errors_in_lower_case() -> None:
    assert StateTaskServiceAwsSdk._normalise_service_error_name("ec2") == "ec2"


def test_moto_gives_a_list_for_one_field_of_one_element() -> None:
    assert extract_json("$.a[0].b", {"a": [{"b": 1}]}) == [1]


def test_moto_calls_an_execution_without_a_name_none() -> None:
    stepfunctions = _client("stepfunctions")
    definition = json.dumps({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}})
    machine = stepfunctions.create_state_machine(name="m", definition=definition, roleArn=ROLE)["stateMachineArn"]
    assert stepfunctions.start_execution(stateMachineArn=machine)["executionArn"].endswith(":None")


def test_moto_has_no_lambda_targets_for_rules() -> None:
    events = _client("events")
    events.put_rule(Name="r", EventPattern=json.dumps({"source": ["mine"]}))
    target = {"Id": "f", "Arn": f"arn:aws:lambda:{REGION}:123456789012:function:f"}
    events.put_targets(Rule="r", Targets=[target])
    with pytest.raises(NotImplementedError):
        events.put_events(Entries=[{"Source": "mine", "DetailType": "d", "Detail": "{}"}])
