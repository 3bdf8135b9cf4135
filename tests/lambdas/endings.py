"""The end of an incident: one that was interrupted, dumped and uploaded, and the call that concludes it."""

import json
from typing import Any

from lambdas import conclude_incident
from lambdas.incident import ConsoleBaseline, Incident, State, timeline_entry
from lambdas.moment import parse
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.vmcores import DUMP

ID = "i-0123456789abcdef0"
INCIDENT = f"20261123T040000Z-{ID}"
PREFIX = f"vmcores/{aws.ACCOUNT_ID}/{aws.REGION}/{ID}/{INCIDENT}/"
OPENED = {
    "incidentId": INCIDENT,
    "instanceId": ID,
    "accountId": aws.ACCOUNT_ID,
    "region": aws.REGION,
    "keyPrefix": PREFIX,
    "isCrashExpected": True,
}
VERIFIED = {"verified": True, "key": f"{PREFIX}vmcore", "sizeBytes": 50_331_648, "digest": "abc=-5", "parts": 5}
INTERRUPTED = Incident(
    incident_id=INCIDENT,
    instance_id=ID,
    account_id=aws.ACCOUNT_ID,
    region=aws.REGION,
    state=State.INTERRUPTED,
    origin="alarm",
    alarm_name="hang",
    decision="interrupt",
    reason="hang-confirmed",
    evidence={"instanceStatus": "impaired"},
    claimed_epoch=1,
    interrupted_epoch=1,
    console_baseline=ConsoleBaseline(end="secret on the screen", length=20),
    timeline=[
        timeline_entry(parse(f"2026-11-23T{time}Z"), event)
        for time, event in (
            ("03:59:00", "alarm"),
            ("03:59:46", "interrupt-sent"),
            ("04:00:00", "online"),
            ("04:00:10", "upload-started"),
            ("04:00:20", "verified"),
        )
    ],
)


def conclude(context: Any, **facts: Any) -> dict[str, Any]:
    """With whatever facts the execution got to."""
    return conclude_incident.handler({"executionName": INCIDENT, "input": {"instanceId": ID}} | facts, context)


def captured(context: Any) -> dict[str, Any]:
    """With all facts of a success."""
    return conclude(context, incident=OPENED, found=DUMP.found(), verified=VERIFIED, watch={"phase": "online"})


def read_json(account: Account, key: str) -> dict[str, Any]:
    """An object of the bucket."""
    parsed: dict[str, Any] = json.loads(account.bucket.objects[key].data)
    return parsed
