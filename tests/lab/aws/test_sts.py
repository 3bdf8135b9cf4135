"""Sessions of an assumed role: what their policy lets a presigned URL do, and for how long."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lab.aws.account import LabAccount
from lab.aws.presigned import Session

ROLE = "arn:aws:iam::123456789012:role/uploader"
OBJECTS = "arn:aws:s3:::vmcores"


@pytest.fixture(scope="module")
def account() -> Iterator[LabAccount]:
    with LabAccount(time_scale=0.01) as started:
        location: Any = {"LocationConstraint": started.region}
        started.client("s3").create_bucket(Bucket="vmcores", CreateBucketConfiguration=location)
        iam, statement = started.client("iam"), {"Effect": "Allow", "Action": "s3:*", "Resource": f"{OBJECTS}/mine/*"}
        iam.create_role(RoleName="uploader", AssumeRolePolicyDocument=json.dumps(_policy()))
        iam.put_role_policy(RoleName="uploader", PolicyName="Put", PolicyDocument=json.dumps(_policy(statement)))
        yield started


def _policy(*statements: dict[str, str]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _put_url(account: LabAccount, key: str, *, allowed: str) -> str:
    policy = _policy({"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"{OBJECTS}/{allowed}"})
    session = account.client("sts").assume_role(
        RoleArn=ROLE, RoleSessionName="test", DurationSeconds=900, Policy=json.dumps(policy)
    )["Credentials"]
    s3 = boto3.client(
        "s3",
        region_name=account.region,
        endpoint_url=f"http://127.0.0.1:{account.instance_port}",
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    return str(s3.generate_presigned_url("put_object", Params={"Bucket": "vmcores", "Key": key}))


def _put(url: str) -> int:
    try:
        with urlopen(HttpRequest(url, data=b"x", method="PUT")) as answer:  # noqa: S310 - loopback
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize(("key", "status"), [("mine/vmcore", 200), ("mine/other", 403), ("theirs/vmcore", 403)])
def test_a_url_reaches_what_its_session_may_reach(account: LabAccount, key: str, status: int) -> None:
    assert _put(_put_url(account, key, allowed="mine/vmcore")) == status


def test_a_url_reaches_nothing_that_its_role_may_not_reach(account: LabAccount) -> None:
    assert _put(_put_url(account, "theirs/vmcore", allowed="*")) == 403


def test_a_role_that_assumes_a_role_has_an_hour_at_most(account: LabAccount) -> None:
    with pytest.raises(ClientError, match="role chaining"):
        account.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="test", DurationSeconds=3601)


def test_a_url_dies_with_its_session() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    session = Session(expires_at=now + timedelta(hours=1), policy=None, role_arn=ROLE)
    assert session.refusal(now=now) is None
    refusal = session.refusal(now=now + timedelta(hours=1, seconds=1))
    assert refusal is not None
    assert refusal.code == "ExpiredToken"
