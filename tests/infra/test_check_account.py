"""`make deploy` asks first what would fail later, and says the next command."""

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.cloudformation import cloudformation_backends
from moto.core import DEFAULT_ACCOUNT_ID

from infra import check_account
from infra.check_account import CannotDeploy
from lambdas.runtime.stack_parameter import BOOTSTRAP_PARAMETER, BOOTSTRAP_VERSION

REGION = "eu-central-1"
NOTHING = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # Read by the CDK alone; boto3 has its own.
    monkeypatch.setenv("AWS_REGION", REGION)
    with mock_aws():
        yield


def bootstrapped(version: int = BOOTSTRAP_VERSION) -> None:
    boto3.client("ssm", region_name=REGION).put_parameter(Name=BOOTSTRAP_PARAMETER, Value=str(version), Type="String")


def stack_in(status: str) -> None:
    boto3.client("cloudformation", region_name=REGION).create_stack(StackName="Hangdump", TemplateBody=NOTHING)
    (stack,) = cloudformation_backends[DEFAULT_ACCOUNT_ID][REGION].stacks.values()
    stack.status = status


def check(monkeypatch: pytest.MonkeyPatch, command: str = "deploy") -> None:
    monkeypatch.setattr("sys.argv", ["check_account", command])
    check_account.main()


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", None])
def test_says_where_it_deploys_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: str | None
) -> None:
    bootstrapped()
    if status is not None:
        stack_in(status)
    check(monkeypatch)
    assert capsys.readouterr().out == f"make deploy: account {DEFAULT_ACCOUNT_ID}, Region {REGION}\n"


def test_a_region_must_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    with pytest.raises(CannotDeploy, match=r"No Region is set.*export AWS_REGION=.*make deploy"):
        check(monkeypatch)


def test_credentials_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    # moto gives some, and takes them away at its end.
    with monkeypatch.context() as within:
        within.delenv("AWS_ACCESS_KEY_ID")
        within.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(CannotDeploy, match=r"no AWS credentials.*aws sso login.*make bootstrap"):
            check(within, "bootstrap")


@pytest.mark.parametrize("version", [None, BOOTSTRAP_VERSION - 1])
def test_an_account_without_a_bootstrap_is_told_to_make_one(
    monkeypatch: pytest.MonkeyPatch, version: int | None
) -> None:
    if version is not None:
        bootstrapped(version)
    with pytest.raises(CannotDeploy, match=rf"bootstrap.*{DEFAULT_ACCOUNT_ID}.*{REGION}.*make bootstrap"):
        check(monkeypatch)
    check(monkeypatch, "bootstrap")


@pytest.mark.parametrize(
    ("status", "next_step"),
    [
        ("ROLLBACK_COMPLETE", "make destroy"),
        ("DELETE_FAILED", "make destroy"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("UPDATE_IN_PROGRESS", "Wait"),
    ],
)
def test_a_stack_that_cannot_be_updated_is_named_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, status: str, next_step: str
) -> None:
    bootstrapped()
    stack_in(status)
    with pytest.raises(CannotDeploy, match=rf"{status}.*{next_step}"):
        check(monkeypatch)
    check(monkeypatch, "destroy")


def test_another_error_of_aws_is_not_taken_for_a_missing_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "GetParameter")

    monkeypatch.setattr("moto.ssm.responses.SimpleSystemManagerResponse.get_parameter", refuse)
    with pytest.raises(ClientError):
        check(monkeypatch)


def test_the_version_is_the_one_that_the_assembly_needs(assembly: Path) -> None:
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"].values()
    needed = [each.get("properties", {}).get("requiresBootstrapStackVersion", 0) for each in artifacts]
    assert max(needed) == BOOTSTRAP_VERSION
