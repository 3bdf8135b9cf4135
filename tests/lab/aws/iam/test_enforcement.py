"""A function and a state machine may do what their roles may: refused over HTTP in each service's own shape."""

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lab.aws.account import LabAccount
from lab.aws.iam import over_http
from lab.aws.iam.account_facts import DEFAULT, Variant
from lab.machines.scripted_machine import ScriptedMachine
from tests.lab.aws.assembly import ROLE, function, role, state_machine, template, write_assembly

BUCKET = "vmcores"
OBJECTS = f"arn:aws:s3:::{BUCKET}"
KEY_OWNER = "999988887777"
# Calls what its event says, once; a refusal is its answer.
CODE = """
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

def handler(event, context):
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    client = boto3.client(event["service"], config=config)
    try:
        answer = getattr(client, event["call"])(**event["parameters"])
    except ClientError as error:
        return {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"],
                "status": error.response["ResponseMetadata"]["HTTPStatusCode"]}
    return {"code": "", "volume": answer.get("VolumeId", "")}
"""


def _allow(*actions: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


OF_ENROLLED = {"StringEquals": {"aws:ResourceTag/hangdump:enrolled": "true"}}
READER = (
    _allow("ec2:SendDiagnosticInterrupt", Condition=OF_ENROLLED),
    _allow("ec2:CreateVolume"),
    _allow("s3:GetObject", "s3:PutObject", resource=f"{OBJECTS}/mine/*"),
    _allow("dynamodb:GetItem", Condition={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": "mine"}}),
)


def _under(resource: dict[str, Any], name: str, element: str = "Role") -> dict[str, Any]:
    """The resource with another role of the template."""
    resource["Properties"][element] = {"Fn::GetAtt": [name, "Arn"]}
    return resource


def _machine(name: str, resource: str, role_name: str, **parameters: Any) -> dict[str, Any]:
    """One task; its error is caught and becomes the output."""
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    task = {"Type": "Task", "Resource": resource, "Parameters": parameters, "Catch": catch, "End": True}
    definition = {"StartAt": "Do", "States": {"Do": task, "Caught": {"Type": "Pass", "End": True}}}
    made = state_machine(name, definition, function={"Fn::GetAtt": ["Reader", "Arn"]})
    return _under(made, role_name, "RoleArn")


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabAccount]:
    with LabAccount(time_scale=0.01, settle_seconds=0.1) as started:
        location: Any = {"LocationConstraint": started.region}
        s3 = started.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
        for key in ("mine/vmcore", "theirs/vmcore"):
            s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
        uploader = role(_allow("s3:GetObject", resource=f"{OBJECTS}/*"))
        uploader["Properties"]["RoleName"] = "uploader"
        uploader["Properties"]["AssumeRolePolicyDocument"]["Statement"] = [
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{started.account_id}:root"}, "Action": "sts:*"}
        ]
        resources = {
            "Limited": role(*READER),
            "Everything": ROLE,
            "Uploader": uploader,
            "Reader": _under(function("code.handler", FunctionName="Hangdump-reader"), "Limited"),
            "Admin": _under(function("code.handler", FunctionName="Hangdump-admin"), "Everything"),
            "A": _machine("Denied", "arn:aws:states:::aws-sdk:ec2:describeInstances", "Limited"),
            "B": _machine("Allowed", "arn:aws:states:::aws-sdk:ec2:describeInstances", "Everything"),
            "C": _machine("DeniedInvoke", "${function}", "Limited"),
        }
        started.deploy(template(**resources), write_assembly(tmp_path_factory.mktemp("out"), {"code.py": CODE}))
        yield started


def _call(account: LabAccount, service: str, call: str, *, by: str = "reader", **parameters: Any) -> dict[str, Any]:
    event = {"service": service, "call": call, "parameters": parameters}
    answer: dict[str, Any] = account.invoke(f"Hangdump-{by}", event)
    return answer


@pytest.mark.parametrize(
    ("service", "call", "parameters", "refused"),
    [
        ("ssm", "get_parameter", {"Name": "/a"}, ("ssm:GetParameter", "AccessDeniedException", 400)),
        ("cloudwatch", "describe_alarms", {}, ("cloudwatch:DescribeAlarms", "AccessDenied", 403)),
        ("autoscaling", "describe_auto_scaling_groups", {}, ("autoscaling:DescribeA", "AccessDenied", 403)),
        ("ec2", "describe_volumes", {}, ("ec2:DescribeVolumes", "UnauthorizedOperation", 403)),
        ("s3", "put_object", {"Bucket": BUCKET, "Key": "a", "Body": "x" * 70_000}, ("s3:PutO", "AccessDenied", 403)),
        ("lambda", "invoke", {"FunctionName": "f"}, ("lambda:InvokeFunction", "AccessDeniedException", 403)),
    ],
    ids=["json", "json-of-cloudwatch", "query", "ec2", "s3", "rest-json"],
)
def test_a_role_without_the_right_is_refused_in_the_words_of_the_service(
    account: LabAccount, service: str, call: str, parameters: dict[str, Any], refused: tuple[str, str, int]
) -> None:
    answer = _call(account, service, call, **parameters)
    assert (answer["code"], answer["status"]) == refused[1:]
    assert f"is not authorized to perform: {refused[0]}" in answer["message"]


def test_a_tag_of_the_instance_decides(account: LabAccount) -> None:
    enrolled = account.add_instance(ScriptedMachine(), instance_type="m5.large", tags={"hangdump:enrolled": "true"})
    other = account.add_instance(ScriptedMachine(), instance_type="m5.large")
    codes = [_call(account, "ec2", "send_diagnostic_interrupt", InstanceId=each)["code"] for each in (enrolled, other)]
    assert codes == ["", "UnauthorizedOperation"]


def test_the_item_of_a_table_decides(account: LabAccount) -> None:
    codes = [
        _call(account, "dynamodb", "get_item", TableName="T", Key={"pk": {"S": each}})["code"]
        for each in ("mine", "theirs")
    ]
    assert codes == ["ResourceNotFoundException", "AccessDeniedException"]


@pytest.mark.parametrize(("key", "code"), [("mine/vmcore", ""), ("theirs/vmcore", "AccessDenied")])
def test_the_object_decides(account: LabAccount, key: str, code: str) -> None:
    assert _call(account, "s3", "get_object", Bucket=BUCKET, Key=key)["code"] == code


@pytest.mark.parametrize(("by", "code"), [("reader", "AccessDenied"), ("admin", "NoSuchKey")])
def test_who_may_not_list_the_bucket_does_not_learn_that_an_object_is_missing(
    account: LabAccount, by: str, code: str
) -> None:
    assert _call(account, "s3", "get_object", by=by, Bucket=BUCKET, Key="mine/missing")["code"] == code


def test_the_answer_to_head_has_no_code(account: LabAccount) -> None:
    assert _call(account, "s3", "head_object", Bucket=BUCKET, Key="theirs/vmcore")["code"] == "403"


def test_a_volume_vanishes_when_its_key_lets_its_maker_not_in(account: LabAccount) -> None:
    account.permissions.move_to(Variant(ebs_key_account=KEY_OWNER))
    made = _call(account, "ec2", "create_volume", AvailabilityZone="eu-central-1a", Size=8, Encrypted=True)
    account.permissions.move_to(DEFAULT)
    assert made["code"] == ""
    with pytest.raises(ClientError, match=r"InvalidVolume\.NotFound"):
        account.client("ec2").describe_volumes(VolumeIds=[made["volume"]])


def test_an_operation_that_nobody_has_looked_up_is_an_error_even_of_one_who_may_do_everything(
    account: LabAccount,
) -> None:
    answer = _call(account, "ec2", "describe_availability_zones", by="admin")
    assert (answer["code"], answer["status"]) == ("NotImplemented", 501)
    assert "what ec2:DescribeAvailabilityZones asks IAM for" in answer["message"]


def test_a_user_may_do_everything_and_a_key_that_nobody_gave_out_nothing(account: LabAccount) -> None:
    assert account.client("ec2").describe_availability_zones()["AvailabilityZones"]
    stranger = boto3.client(
        "ec2",
        region_name=account.region,
        endpoint_url=account.endpoint_url,
        aws_access_key_id="AKIASTRANGER",
        aws_secret_access_key="x",  # noqa: S106 - opens nothing
    )
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        stranger.describe_availability_zones()


def test_a_role_gets_a_new_right_at_once(account: LabAccount) -> None:
    iam, name = account.client("iam"), account.client("lambda").get_function(FunctionName="Hangdump-reader")
    role_name = name["Configuration"]["Role"].rpartition("/")[2]
    document = json.dumps({"Version": "2012-10-17", "Statement": [_allow("ec2:DescribeSnapshots")]})
    assert _call(account, "ec2", "describe_snapshots")["code"] == "UnauthorizedOperation"
    iam.put_role_policy(RoleName=role_name, PolicyName="More", PolicyDocument=document)
    assert _call(account, "ec2", "describe_snapshots")["code"] == ""
    iam.delete_role_policy(RoleName=role_name, PolicyName="More")


def test_a_session_may_do_what_both_its_role_and_its_policy_allow(account: LabAccount) -> None:
    policy = {"Version": "2012-10-17", "Statement": [_allow("s3:*", resource=f"{OBJECTS}/mine/*")]}
    session = account.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{account.account_id}:role/uploader", RoleSessionName="test", Policy=json.dumps(policy)
    )["Credentials"]
    s3 = boto3.client(
        "s3",
        region_name=account.region,
        endpoint_url=account.endpoint_url,
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
        config=Config(s3={"addressing_style": "path"}),
    )
    assert s3.get_object(Bucket=BUCKET, Key="mine/vmcore")["Body"].read() == b"x"
    with pytest.raises(ClientError, match="no session policy allows"):
        s3.get_object(Bucket=BUCKET, Key="theirs/vmcore")
    with pytest.raises(ClientError, match="no identity-based policy allows"):
        s3.put_object(Bucket=BUCKET, Key="mine/vmcore", Body=b"y")


@pytest.mark.parametrize(
    ("machine", "error"), [("Denied", "Ec2.Ec2Exception"), ("DeniedInvoke", "Lambda.AWSLambdaException")]
)
def test_a_state_machine_catches_the_refusal_of_its_role(account: LabAccount, machine: str, error: str) -> None:
    ended = account.wait_for_execution(account.start_execution(machine, {}), timeout_seconds=30)
    assert ended["status"] == "SUCCEEDED", ended
    output = ended["output"]
    assert output["Error"] == error
    assert "is not authorized to perform" in output["Cause"]


def test_a_state_machine_does_what_its_role_may(account: LabAccount) -> None:
    ended = account.wait_for_execution(account.start_execution("Allowed", {}), timeout_seconds=30)
    assert "Reservations" in ended["output"]


OBJECT = {"Bucket": BUCKET, "Key": "a/b c+ü"}


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "in_body"),
    [
        ("s3", "AbortMultipartUpload", {**OBJECT, "UploadId": "u"}, {}),
        ("s3", "CompleteMultipartUpload", {**OBJECT, "UploadId": "u"}, {"MultipartUpload": {"Parts": []}}),
        ("s3", "CopyObject", {**OBJECT, "CopySource": "b/k"}, {}),
        ("s3", "CreateMultipartUpload", {**OBJECT, "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"}, {}),
        ("s3", "DeleteObject", {**OBJECT, "VersionId": "v"}, {}),
        ("s3", "GetObject", {**OBJECT, "Range": "bytes=0-1"}, {}),
        ("s3", "GetObjectTagging", OBJECT, {}),
        ("s3", "HeadObject", OBJECT, {}),
        ("s3", "ListMultipartUploads", {"Bucket": BUCKET, "Prefix": "a"}, {}),
        ("s3", "ListObjects", {"Bucket": BUCKET}, {}),
        ("s3", "ListObjectsV2", {"Bucket": BUCKET, "Prefix": "a/"}, {}),
        ("s3", "ListParts", {**OBJECT, "UploadId": "u"}, {}),
        ("s3", "PutObject", OBJECT, {"Body": b"x"}),
        ("s3", "UploadPart", {**OBJECT, "UploadId": "u", "PartNumber": 1}, {"Body": b"x"}),
        ("lambda", "Invoke", {"FunctionName": "arn:aws:lambda:eu-central-1:1:function:f"}, {"Payload": b"{}"}),
        ("ec2", "CreateTags", {"Resources": ["i-1", "i-2"], "Tags": [{"Key": "k", "Value": ""}]}, {}),
        ("sns", "Publish", {"TopicArn": "arn:t", "Message": "é&=", "Subject": "s"}, {}),
        ("stepfunctions", "StartExecution", {"stateMachineArn": "arn:m", "input": "{}"}, {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_request_is_read_as_boto3_wrote_it(
    service: str, operation: str, parameters: dict[str, Any], in_body: dict[str, Any]
) -> None:
    def stop(request: Any, **_: Any) -> None:
        raise _Sent(request)

    client = boto3.client(
        service,  # type: ignore[call-overload]
        region_name="eu-central-1",
        aws_access_key_id="AKIA",
        aws_secret_access_key="x",  # noqa: S106 - opens nothing
        endpoint_url="http://127.0.0.1:1",
        config=Config(s3={"addressing_style": "path"}),
    )
    client.meta.events.register("before-send", stop)
    with pytest.raises(_Sent) as sent:
        client._make_api_call(operation, {**parameters, **in_body})
    environ = _as_wsgi(sent.value.args[0])
    assert over_http._signer(environ) == ("AKIA", service)
    read_operation, read = over_http._read(environ, service)
    assert read_operation.name == operation
    assert {name: str(read[name]) for name in parameters} == {name: str(each) for name, each in parameters.items()}


class _Sent(Exception):
    pass


def _as_wsgi(request: Any) -> dict[str, Any]:
    body = request.body.read() if hasattr(request.body, "read") else request.body or b""
    body = body.encode() if isinstance(body, str) else body
    headers = {
        f"HTTP_{name.upper().replace('-', '_')}": value.decode() if isinstance(value, bytes) else value
        for name, value in request.headers.items()
    }
    return {
        "REQUEST_METHOD": request.method,
        "RAW_URI": request.url.removeprefix("http://127.0.0.1:1"),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
        **headers,
    }
