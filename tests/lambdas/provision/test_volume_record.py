"""The record of a dump volume in the table, and the count of the rescues that sweeps start."""

import pytest

from lambdas.provision.volume_record import VolumeRecord, claim_attempt, note_incident, read_volume_record
from lambdas.runtime import clients
from tests.lambdas.account import NOW, TABLE, Account

VOLUME, HOST = "vol-0123456789abcdef0", "i-0123456789abcdef0"


@pytest.fixture
def recorded(account: Account) -> None:
    """As ProvisionDumpVolume of an earlier release wrote it."""
    item = {"pk": {"S": f"dump-volume#{VOLUME}"}, "instanceId": {"S": HOST}}
    clients.dynamodb().put_item(TableName=TABLE, Item=item)


@pytest.mark.usefixtures("recorded")
def test_a_record_of_an_earlier_release_names_no_group() -> None:
    assert read_volume_record(TABLE, VOLUME) == VolumeRecord(volume_id=VOLUME, instance_id=HOST)
    assert read_volume_record(TABLE, "vol-0") is None


@pytest.mark.usefixtures("recorded")
def test_each_attempt_is_claimed_once_and_in_its_order() -> None:
    def claim(attempt: int) -> bool:
        return claim_attempt(TABLE, VOLUME, attempt=attempt, group="web", now=NOW)

    assert [claim(each) for each in (2, 1, 1, 3, 2, 2)] == [False, True, False, False, True, False]
    record = read_volume_record(TABLE, VOLUME)
    assert record is not None
    assert (record.attempts, record.tried_at, record.group) == (2, NOW, "web")


def test_nothing_is_claimed_without_a_record(account: Account) -> None:
    assert not claim_attempt(TABLE, VOLUME, attempt=1, group="web", now=NOW)
    assert read_volume_record(TABLE, VOLUME) is None


@pytest.mark.usefixtures("recorded")
def test_the_incident_of_another_instances_rescue_is_not_noted() -> None:
    assert not note_incident(TABLE, VOLUME, instance_id="i-other", incident_id="an-incident")
    assert note_incident(TABLE, VOLUME, instance_id=HOST, incident_id="an-incident")
    record = read_volume_record(TABLE, VOLUME)
    assert record is not None
    assert record.incident_id == "an-incident"
