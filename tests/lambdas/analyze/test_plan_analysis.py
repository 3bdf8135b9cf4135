"""plan_analysis: which hosts may read a vmcore, and the URLs that they get for it."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from lambdas.handlers import plan_analysis
from lambdas.incident.table import create_incident
from lambdas.runtime.errors import (
    AnalysisHostRefused,
    BucketRefused,
    InstanceNotFound,
    InstanceNotManaged,
    InstanceNotRunning,
    InvalidInput,
    VmcoreNotFound,
)
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.endings import INCIDENT, INTERRUPTED, PREFIX

DUMP = b"KDUMP   a dump"


@pytest.fixture
def host_id(account: Account, instance_id: str) -> str:
    """A running instance that its owner gave for analyses, and an incident with its vmcore."""

    create_incident(aws.TABLE, INTERRUPTED)
    account.bucket.PutObject({"Key": f"{PREFIX}vmcore", "Body": DUMP})
    tag(instance_id, "true")
    return instance_id


def tag(instance_id: str, value: str) -> None:
    ec2 = boto3.client("ec2", region_name=aws.REGION)
    ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "hangdump:analysis-host", "Value": value}])


def plan(context: Any, host_id: str, incident_id: str = INCIDENT, **more: Any) -> dict[str, Any]:
    given = {"incidentId": incident_id, "analysisInstanceId": host_id, **more}
    return plan_analysis.handler({"input": given}, context)


def manifest(account: Account) -> dict[str, tuple[int, str]]:
    text = account.bucket.objects[f"manifests/{INCIDENT}/analysis.tsv"].data.decode()
    lines = (line.split("\t") for line in text.splitlines())
    return {kind: (int(size), url) for kind, size, url in lines}


def test_the_host_gets_urls_for_the_dump_our_analysis_and_its_result(
    account: Account, context: Any, host_id: str
) -> None:
    planned = plan(context, host_id)
    assert (planned["incidentId"], planned["analysisInstanceId"]) == (INCIDENT, host_id)
    told = manifest(account)
    paths = {kind: urlsplit(url).path.lstrip("/") for kind, (_, url) in told.items()}
    assert paths == {
        "bundle": f"manifests/{INCIDENT}/analysis.zip",
        "vmcore": f"{PREFIX}vmcore",
        "result": f"{PREFIX}analysis.json",
    }
    assert told["vmcore"][0] == len(DUMP)
    for url in (planned["manifestUrl"], *(url for _, url in told.values())):
        query = parse_qs(urlsplit(url).query)
        assert query["X-Amz-SignedHeaders"] == ["host"]
        assert int(query["X-Amz-Expires"][0]) < 3600, "the session that signed lives an hour"


def test_the_session_that_signs_reads_this_vmcore_and_writes_this_result(
    account: Account, context: Any, host_id: str
) -> None:
    plan(context, host_id)
    (session,) = account.named("AssumeRole")
    policy = session["Policy"]
    assert session["RoleArn"].endswith("Hangdump-reader")
    assert f'"s3:GetObject", "Resource": ["arn:aws:s3:::{aws.BUCKET}/{PREFIX}vmcore"' in policy
    assert f'"s3:PutObject", "Resource": "arn:aws:s3:::{aws.BUCKET}/{PREFIX}analysis.json"' in policy


def test_our_analysis_is_packed_whole_and_can_be_imported(
    account: Account, context: Any, host_id: str, tmp_path: Path
) -> None:
    plan(context, host_id)
    packed = account.bucket.objects[f"manifests/{INCIDENT}/analysis.zip"].data
    names = zipfile.ZipFile(io.BytesIO(packed)).namelist()
    modules = [f"analysis/{path.name}" for path in Path("analysis").glob("*.py")]
    assert names == sorted([*modules, "analysis/host_requirements.txt"])
    file = tmp_path / "analysis.zip"
    file.write_bytes(packed)
    done = subprocess.run(
        [sys.executable, "-m", "analysis", "--help"],
        env={"PYTHONPATH": str(file)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "--install-debuginfo" in done.stdout, done.stderr


@pytest.mark.parametrize("value", ["false", "True", ""])
def test_a_host_that_nobody_gave_for_it_reads_nothing(account: Account, context: Any, host_id: str, value: str) -> None:
    tag(host_id, value)
    with pytest.raises(AnalysisHostRefused, match="not tagged hangdump:analysis-host=true"):
        plan(context, host_id)
    assert account.named("AssumeRole") == []


def test_a_host_that_is_off_is_named(context: Any, host_id: str) -> None:
    boto3.client("ec2", region_name=aws.REGION).stop_instances(InstanceIds=[host_id])
    with pytest.raises(InstanceNotRunning, match=host_id):
        plan(context, host_id)


def test_a_host_that_systems_manager_does_not_reach_is_named(account: Account, context: Any, host_id: str) -> None:
    account.ping_status = "ConnectionLost"
    with pytest.raises(InstanceNotManaged, match="ConnectionLost"):
        plan(context, host_id)


@pytest.mark.usefixtures("host_id")
def test_a_host_that_does_not_exist_is_named(context: Any) -> None:
    with pytest.raises(InstanceNotFound, match="i-0aaaaaaaaaaaaaaaa"):
        plan(context, "i-0aaaaaaaaaaaaaaaa")


def test_an_incident_without_a_vmcore_is_told_so(account: Account, context: Any, host_id: str) -> None:
    del account.bucket.objects[f"{PREFIX}vmcore"]
    with pytest.raises(VmcoreNotFound, match="its verdict is none yet"):
        plan(context, host_id)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"incident_id": "20261123T040000Z-i-0aaaaaaaaaaaaaaaa"}, "There is no incident", id="unknown"),
        pytest.param({"incident_id": "../x"}, "incidentId", id="no-id"),
        pytest.param({"bucket": "mine"}, "bucket", id="something-else"),
    ],
)
def test_input_that_is_wrong_is_named(context: Any, host_id: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        plan(context, host_id, **given)


def test_a_bucket_that_refuses_is_named(account: Account, context: Any, host_id: str) -> None:
    account.fail("ListObjectsV2", "AccessDenied")
    with pytest.raises(BucketRefused):
        plan(context, host_id)
