"""Rounds of one upload, planned by plan_upload and done by an instance small enough for tests."""

from typing import Any

from lambdas.handlers import plan_upload
from lambdas.incident.record import Incident, State
from lambdas.incident.table import create_incident
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.vmcores import DUMP

ID = "i-0123456789abcdef0"
INCIDENT = f"20261123T040000Z-{ID}"
PREFIX = f"vmcores/{aws.ACCOUNT_ID}/{aws.REGION}/{ID}/{INCIDENT}/"
OPENED = {"incidentId": INCIDENT, "instanceId": ID}


def open_incident() -> None:
    incident = Incident(
        incident_id=INCIDENT,
        instance_id=ID,
        account_id=aws.ACCOUNT_ID,
        region=aws.REGION,
        state=State.INTERRUPTED,
    )
    create_incident(aws.TABLE, incident)


def plan(context: Any, found: dict[str, Any] | None = None, *, number: int = 0) -> dict[str, Any]:
    return plan_upload.handler({"incident": OPENED, "found": found or DUMP.found(), "round": number}, context)


def manifest(account: Account) -> str:
    """The last one."""
    number = sum(key.startswith(f"manifests/{INCIDENT}/") for key in account.bucket.objects)
    return account.bucket.objects[f"manifests/{INCIDENT}/{number}.tsv"].data.decode()


def lines(account: Account) -> list[tuple[str, int]]:
    """Kind and number of each line of the last manifest."""
    split = (line.split("\t") for line in manifest(account).splitlines())
    return [(kind, int(number)) for kind, number, *_ in split]


def next_round(account: Account, context: Any, *, only: int | None = None) -> dict[str, Any]:
    """The instance does what the last manifest says, and the next round is planned."""
    DUMP.upload(account.bucket, manifest(account), only=only)
    return plan(context, number=1)
