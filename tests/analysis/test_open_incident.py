"""From an incident's id to the file on this machine, and to the program that opens it."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from analysis import fetch_vmcore, open_incident
from analysis.command_line import run
from analysis.debuginfo import Debuginfo
from analysis.errors import AnalysisError
from analysis.fetch_vmcore import IncidentNotFound, Stored
from analysis.open_dump import open_command
from lambdas.incident.object_keys import key_prefix, keys

INCIDENT = "20261123T040000Z-i-0123456789abcdef0"
INSTANCE = "i-0123456789abcdef0"
KEY = keys(key_prefix(account_id="123456789012", region="eu-central-1", instance_id=INSTANCE, incident=INCIDENT))
CONTENT = bytes(range(256)) * 4096
OUTPUTS = {"VmcoreBucketName": "vmcores", "IncidentTableName": "incidents"}


class _CloudFormation:
    """One stack. (moto's takes half a minute to import: it knows every resource there is.)"""

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803 - as the API says it
        if StackName != "Hangdump":
            error = {"Error": {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}}
            raise ClientError(error, "DescribeStacks")  # type: ignore[arg-type]
        return {"Stacks": [{"Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in OUTPUTS.items()]}]}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A deployed stack with one captured incident."""
    for name, value in {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "x",
    }.items():
        monkeypatch.setenv(name, value)
    client = open_incident._client
    monkeypatch.setattr(
        open_incident, "_client", lambda service: _CloudFormation() if service == "cloudformation" else client(service)
    )
    with mock_aws():
        boto3.client("dynamodb").create_table(
            TableName="incidents",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="vmcores", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        s3.put_bucket_versioning(Bucket="vmcores", VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket="vmcores", Key=KEY["vmcore"], Body=CONTENT)
        _record(INCIDENT, verdict="captured")
        yield


def _record(incident_id: str, **more: str) -> None:
    item = {"accountId": "123456789012", "region": "eu-central-1", "instanceId": INSTANCE, **more}
    boto3.client("dynamodb").put_item(
        TableName="incidents",
        Item={"pk": {"S": f"incident#{incident_id}"}, **{name: {"S": value} for name, value in item.items()}},
    )


def _quiet(_: str) -> None:
    pass


def find_vmcore(incident_id: str, *, stack_name: str) -> Stored:
    """As `open` does it."""
    fetch_vmcore.require_incident_id(incident_id)
    outputs = fetch_vmcore.stack_outputs(stack_name, open_incident._client)
    return fetch_vmcore.find_vmcore(incident_id, outputs, open_incident._client)


def download(stored: Stored, directory: Path, *, say: fetch_vmcore.Say) -> Path:
    return fetch_vmcore.download(stored, directory, open_incident._client, say=say)


def test_finds_the_vmcore_where_the_functions_put_it(account: None) -> None:
    stored = find_vmcore(INCIDENT, stack_name="Hangdump")
    assert (stored.bucket, stored.key, stored.size_bytes) == ("vmcores", KEY["vmcore"], len(CONTENT))


@pytest.mark.parametrize("incident_id", ["latest", "../../etc/passwd", "20261123T040000Z-i-0123456789abcdef0/x"])
def test_what_is_no_incident_id_is_asked_of_nobody(incident_id: str) -> None:
    with pytest.raises(IncidentNotFound, match="no incident id"):
        find_vmcore(incident_id, stack_name="Hangdump")


def test_an_incident_without_a_vmcore_tells_its_verdict(account: None) -> None:
    other = "20261123T050000Z-i-0123456789abcdef0"
    _record(other, verdict="panic-no-dump")
    with pytest.raises(IncidentNotFound, match="panic-no-dump"):
        find_vmcore(other, stack_name="Hangdump")


def test_an_unknown_incident_or_stack_is_named(account: None) -> None:
    with pytest.raises(IncidentNotFound, match="no incident 20261123T060000Z"):
        find_vmcore("20261123T060000Z-i-0123456789abcdef0", stack_name="Hangdump")
    with pytest.raises(IncidentNotFound, match="--stack"):
        find_vmcore(INCIDENT, stack_name="Elsewhere")


def test_downloads_for_the_owner_of_the_files_alone_and_says_how_far_it_is(account: None, tmp_path: Path) -> None:
    said = io.StringIO()
    vmcore = download(find_vmcore(INCIDENT, stack_name="Hangdump"), tmp_path / "dump", say=said.write)
    assert vmcore.read_bytes() == CONTENT
    assert oct(vmcore.stat().st_mode & 0o777) == oct(0o600)
    assert "(100 %)" in said.getvalue()


def test_a_download_that_was_cut_goes_on_where_it_ended(
    account: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = find_vmcore(INCIDENT, stack_name="Hangdump")
    (tmp_path / f"vmcore.{stored.etag}.part").write_bytes(CONTENT[:500_000])
    asked: list[int] = []
    get = fetch_vmcore._get

    def remember(what: Any, start: int, client: fetch_vmcore.Client) -> Any:
        asked.append(start)
        return get(what, start, client)

    monkeypatch.setattr(fetch_vmcore, "_get", remember)
    assert download(stored, tmp_path, say=_quiet).read_bytes() == CONTENT
    assert download(stored, tmp_path, say=_quiet).read_bytes() == CONTENT
    assert asked == [500_000], "the second time nothing was left to ask for"


def test_the_rest_of_another_version_is_never_joined_to_what_is_here(account: None, tmp_path: Path) -> None:
    first = find_vmcore(INCIDENT, stack_name="Hangdump")
    (tmp_path / f"vmcore.{first.etag}.part").write_bytes(CONTENT[:500_000])
    boto3.client("s3").put_object(Bucket="vmcores", Key=KEY["vmcore"], Body=CONTENT[::-1])
    second = find_vmcore(INCIDENT, stack_name="Hangdump")
    assert download(second, tmp_path, say=_quiet).read_bytes() == CONTENT[::-1]


def test_an_object_that_is_replaced_under_the_download_is_told(account: None, tmp_path: Path) -> None:
    stored = find_vmcore(INCIDENT, stack_name="Hangdump")
    boto3.client("s3").put_object(Bucket="vmcores", Key=KEY["vmcore"], Body=CONTENT[::-1])
    with pytest.raises(IncidentNotFound, match="run it again"):
        download(stored, tmp_path, say=_quiet)


def test_it_asks_for_no_permission_but_those_of_the_documentation(
    account: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    client = open_incident._client

    def remember(service: str) -> Any:
        made = client(service)
        if service != "cloudformation":
            made.meta.events.register(
                "provide-client-params.*.*", lambda params, model, **_: asked.append((model.name, params))
            )
        return made

    monkeypatch.setattr(open_incident, "_client", remember)
    download(find_vmcore(INCIDENT, stack_name="Hangdump"), tmp_path, say=_quiet)
    assert [name for name, _ in asked] == ["GetItem", "HeadObject", "GetObject"]
    # With it S3 wants s3:GetObjectVersion.
    assert [params for _, params in asked if "VersionId" in params] == []


def test_a_download_that_is_cut_says_that_it_can_go_on(account: None, tmp_path: Path) -> None:
    def break_(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as cut:
        download(find_vmcore(INCIDENT, stack_name="Hangdump"), tmp_path, say=break_)
    assert cut.value.__notes__[0].endswith(".part is kept: run the command again to continue the download.")


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_what_aws_refuses_is_one_line(
    code: str, account: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Refusing:
        def get_item(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetItem")

    client = open_incident._client
    monkeypatch.setattr(
        open_incident, "_client", lambda service: Refusing() if service == "dynamodb" else client(service)
    )
    assert run(lambda: open_incident.main([INCIDENT])) == 1
    said = capsys.readouterr().err
    assert (said.count("\n"), code in said, "GetItem" in said) == (1, True, True)


def test_a_stack_that_is_not_hangdumps_is_told(account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(OUTPUTS, "IncidentTableName")
    with pytest.raises(IncidentNotFound, match="no output IncidentTableName"):
        find_vmcore(INCIDENT, stack_name="Hangdump")


def test_drgn_or_crash_opens_it_with_the_symbols_that_were_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vmcore, symbols, modules = Path("/d/vmcore"), Debuginfo(Path("/dbg/vmlinux"), (Path("/dbg"),)), ["/dbg/nvme.ko"]
    command = open_command(vmcore, symbols, modules, is_crash=False)
    assert command == [sys.executable, "-m", "drgn", "-c", "/d/vmcore", "-s", "/dbg/vmlinux", "-s", "/dbg/nvme.ko"]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AnalysisError, match="not installed"):
        open_command(vmcore, symbols, [], is_crash=True)
    (tmp_path / "crash").write_text("#!/bin/sh\n")
    (tmp_path / "crash").chmod(0o755)
    assert open_command(vmcore, symbols, [], is_crash=True) == ["crash", "--mod", "/dbg", "/dbg/vmlinux", "/d/vmcore"]
