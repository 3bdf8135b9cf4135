"""The end of an incident: one that was interrupted, dumped and uploaded, and the call that concludes it."""

import json
from typing import Any

from lambdas.handlers import conclude_incident
from lambdas.incident.record import ConsoleBaseline, Incident, State, timeline_entry
from lambdas.runtime.moment import parse
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
    "isCrashExpected": True,
}
LOG = """\
[    0.000000] Linux version 6.1.0-18-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP
[  812.345678] Uhhuh. NMI received for unknown reason 21 on CPU 0.
[  812.345690] Kernel panic - not syncing: NMI: Not continuing
[  812.345699] CPU: 0 PID: 777 Comm: spin Kdump: loaded Not tainted 6.1.0-18-cloud-amd64 #1  Debian 6.1.76-1
[  812.345710]  nmi_panic.cold+0xc/0xc
[  812.345715]  end_repeat_nmi+0x16/0x67
[  812.345720] RIP: 0010:spin_lock_for_ever+0x5/0x10
"""
VERIFIED = {"verified": True, "key": f"{PREFIX}vmcore", "sizeBytes": 50_331_648, "digest": "abc=-5", "parts": 5}
# What open_vmcore says of it.
SAYS = {
    "format": "kdump-compressed, flattened",
    "architecture": "x86_64",
    "kernelRelease": "6.1.0-18-cloud-amd64",
    "buildId": "3b43fa0a95fc13d2e3f14d9c9b4a2f0dd8a54e77",
    "kaslrOffset": "0x1c00000",
    "hasKallsyms": True,
    "panicLine": "Kernel panic - not syncing: NMI: Not continuing",
    "isLogWritten": False,
    "problems": [],
}
INTERRUPTED = Incident(
    incident_id=INCIDENT,
    instance_id=ID,
    account_id=aws.ACCOUNT_ID,
    region=aws.REGION,
    state=State.INTERRUPTED,
    origin="alarm",
    alarm_name="hang",
    decision="interrupt",
    reason="kernel-deaf",
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
    return conclude(
        context, incident=OPENED, found=DUMP.found(), verified=VERIFIED, opened=SAYS, watch={"phase": "online"}
    )


def read_json(account: Account, key: str) -> dict[str, Any]:
    """An object of the bucket."""
    parsed: dict[str, Any] = json.loads(account.bucket.objects[key].data)
    return parsed
