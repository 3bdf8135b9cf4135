"""The record, against DynamoDB's answers. The claim's tests are in test_interrupt_claim.py."""

import pytest

from lambdas.incident.record import Incident, State
from lambdas.incident.table import IncidentTable, create_incident
from tests.lambdas import account as aws
from tests.lambdas.account import Account

INCIDENT = Incident(incident_id="20261123T040000Z-i-0123456789abcdef0", instance_id="i-0123456789abcdef0")


@pytest.fixture
def table(account: Account) -> IncidentTable:
    return IncidentTable(aws.TABLE)


def test_an_update_for_another_state_changes_nothing(account: Account, table: IncidentTable) -> None:
    create_incident(table.name, INCIDENT)
    assert not table.update(INCIDENT.incident_id, {"reason": "late"}, only_in=[State.INTERRUPTING, State.CONCLUDED])
    known = table.read(INCIDENT.incident_id)
    assert known is not None
    assert known.reason is None
