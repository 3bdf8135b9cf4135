"""What a console, an alarm or a tag says is visible in the mail and in the record."""

from typing import Any

import pytest

from lambdas.runtime import clients
from tests.lambdas import account as aws
from tests.lambdas.account import Account, read_record
from tests.lambdas.alarm_events import alarm_action, query
from tests.lambdas.conftest import Deliver

EVIL = "6\x1b[2J\u202eevil"
SHOWN = "6\\x1b[2J\\u202eevil"


def _kernel(account: Account, instance_id: str) -> None:
    account.console = f"[    0.000000] Linux version {EVIL} (x)\n[    9.0] login:\n"
    ready: Any = [{"Key": "hangdump:ready-kernel", "Value": "6.1.0"}]
    clients.ec2().create_tags(Resources=[instance_id], Tags=ready)


def _ready_kernel(account: Account, instance_id: str) -> None:
    account.console = "[    0.000000] Linux version 6.1.0 (x)\n[    9.0] login:\n"
    clients.ec2().create_tags(Resources=[instance_id], Tags=[{"Key": "hangdump:ready-kernel", "Value": "\u202eevil"}])


def _error(account: Account, _instance_id: str) -> None:
    error: Any = {"Error": {"Code": "AccessDenied", "Message": EVIL}}
    account.errors["DescribeInstanceTypes"] = clients.ec2().exceptions.ClientError(error, "DescribeInstanceTypes")


@pytest.mark.parametrize("speak", [_kernel, _ready_kernel, _error])
def test_no_word_of_a_refusal_is_invisible(account: Account, deliver: Deliver, instance_id: str, speak: Any) -> None:
    speak(account, instance_id)
    incident = deliver(alarm_action(query(instance_id), name=f"hang {EVIL}"))["incidentId"]
    (message,) = account.messages
    known = read_record(incident)
    assert "\\u202eevil" in (known.detail or "")
    assert known.alarm_name == f"hang {SHOWN}"
    # The baseline is compared with the console, so it stays as it was read.
    for text in (
        message,
        known.model_dump_json(exclude={"console_baseline"}),
        str(known.evidence),
        str(known.timeline),
    ):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert f"hang {SHOWN}" in message


def test_no_word_of_an_interrupt_that_is_refused_is_invisible(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.interrupts_switch = EVIL
    incident = deliver(alarm_action(query(instance_id)))["incidentId"]
    known = read_record(incident)
    assert "\u202e" not in account.messages[0] + (known.detail or "") + str(known.timeline)


def test_no_word_of_an_alarm_without_an_instance_is_invisible(account: Account, deliver: Deliver) -> None:
    deliver(alarm_action(query(None), name=EVIL))
    assert SHOWN in account.messages[0]
    items = clients.dynamodb().scan(TableName=aws.TABLE)["Items"]
    assert "\u202e" not in account.messages[0] + "".join(map(str, items))
