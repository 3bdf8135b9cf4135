"""Cut short the same ways, with the functions of the workflow planning the rounds and verifying the end."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lab.s3_server import Credentials, S3Server
from lambdas.handlers import plan_upload, verify_vmcore
from lambdas.incident.record import Incident, State
from lambdas.incident.table import create_incident
from lambdas.runtime import clients
from lambdas.upload import manifest, multipart
from tests.lambdas import account as aws
from tests.lambdas.conftest import VARIABLES, Context
from tests.seeds import seeds
from tests.ssm_documents.dumps import STAMP, VMCORE, put
from tests.ssm_documents.test_upload_vmcore_cuts import BUCKET, DUMP, PLAN, KillableRoot, Upload

CASES = 20
CONTEXT: Any = Context()
SESSION = Credentials(session_token="of a role")  # noqa: S106 - opens nothing but this server
INSTANCE = "i-0123456789abcdef0"


@dataclass
class Functions:
    """plan_upload and verify_vmcore, called as the state machine calls them."""

    incident_id: str
    found: dict[str, Any]
    round: int = 0
    digests: Any = None

    @property
    def key(self) -> str:
        return f"{self._prefix}vmcore"

    @property
    def _prefix(self) -> str:
        return f"vmcores/{aws.ACCOUNT_ID}/{aws.REGION}/{INSTANCE}/{self.incident_id}/"

    def _event(self) -> dict[str, Any]:
        return {"incident": {"incidentId": self.incident_id, "instanceId": INSTANCE}, "found": self.found}

    def next_manifest(self) -> str | None:
        self.planned = plan_upload.handler({**self._event(), "round": self.round}, CONTEXT)
        self.round += 1
        return self.planned["manifestUrl"] if self.planned["isAnythingLeft"] else None

    def complete(self) -> None:
        verified = verify_vmcore.handler({**self._event(), "upload": self.planned}, CONTEXT)
        assert verified["verified"] is True

    def forget_descriptions(self) -> None:
        """They do what they do."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    directory = tmp_path_factory.mktemp("objects")
    with S3Server(BUCKET, directory=directory, smallest_part_bytes=1, credentials=SESSION) as running:
        yield running


@pytest.fixture(autouse=True)
def functions(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Their environment: moto for everything but S3, which is the server that verifies."""
    for name, value in {
        **VARIABLES,
        "BUCKET_NAME": BUCKET,
        "UPLOAD_ENDPOINT_URL": server.endpoint_url,
        "AWS_ENDPOINT_URL_S3": server.endpoint_url,
        "AWS_ACCESS_KEY_ID": SESSION.access_key_id,
        "AWS_SECRET_ACCESS_KEY": SESSION.secret_access_key,
        "AWS_SESSION_TOKEN": str(SESSION.session_token),
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    session = clients.Credentials(SESSION.access_key_id, SESSION.secret_access_key, str(SESSION.session_token))
    # The server knows no STS: the session that signs is the one that it was told.
    signing = clients.s3_for_presigning(server.endpoint_url, session)
    monkeypatch.setattr(manifest, "signing_client", lambda *_, **__: signing)
    monkeypatch.setattr(multipart, "plan_parts", lambda *_, **__: PLAN)
    cached = (clients.s3, clients.dynamodb)
    passed = {"core": {"mock_credentials": False, "passthrough": {"urls": [re.escape(server.endpoint_url) + ".*"]}}}
    with mock_aws(config=passed):
        for client in cached:
            client.cache_clear()
        boto3.client("dynamodb").create_table(
            TableName=aws.TABLE,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield
    for client in cached:
        client.cache_clear()


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> KillableRoot:
    root = KillableRoot(tmp_path_factory.mktemp("cuts") / "root")
    root.install_document()
    return root


@pytest.mark.parametrize("seed", seeds(CASES, quick=4))
def test_the_functions_bring_any_cut_upload_to_the_identical_object(
    instance: KillableRoot, server: S3Server, seed: int
) -> None:
    server.faults.clear()
    instance.offer_python(is_there=seed % 2 == 1)
    put(instance, VMCORE, DUMP)
    put(instance, f"/var/crash/{STAMP}/dmesg.{STAMP}", b"Kernel panic - not syncing: NMI: Not continuing\n")
    incident_id = f"20261123T0400{seed:02}Z-{INSTANCE}"
    incident = Incident(
        incident_id=incident_id,
        instance_id=INSTANCE,
        account_id=aws.ACCOUNT_ID,
        region=aws.REGION,
        state=State.INTERRUPTED,
    )
    create_incident(aws.TABLE, incident)
    broker: Any = Functions(incident_id, instance.run("upload_vmcore").result)
    upload = Upload(instance, server, broker, Random(seed))  # noqa: S311
    upload.plan_faults()
    assert upload.to_the_end()
    assert upload.stored == DUMP
    assert upload.file.read_bytes() == DUMP
