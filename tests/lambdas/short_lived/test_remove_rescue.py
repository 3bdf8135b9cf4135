"""What a rescue made is removed by its tag, whatever is known of it and however often it is asked."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lambdas.handlers import remove_rescue
from lambdas.incident.record import Incident, timeline_entry
from lambdas.incident.table import IncidentTable, create_incident
from lambdas.runtime import clients
from lambdas.runtime.errors import InvalidInput
from lambdas.runtime.execution import client_token
from tests.lambdas import account as aws
from tests.lambdas.account import Account

RESCUED = "i-0123456789abcdef0"
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:RescueVmcore:rescue-1"
INCIDENT = f"20261123T040000Z-{RESCUED}"


def _tags(rescue: str = "rescue-1", **more: str) -> Any:
    known = {
        "hangdump:stack": "Hangdump",
        "hangdump:rescue": rescue,
        "hangdump:incident": INCIDENT,
        "hangdump:rescue-of": RESCUED,
    }
    return [{"Key": key, "Value": value} for key, value in {**known, **more}.items()]


TAGS = _tags()
OTHER = _tags("rescue-2")


@pytest.fixture(autouse=True)
def incident(account: Account) -> None:
    """As open_rescue leaves it, long before EC2 shows anything new."""
    opened = timeline_entry(datetime(2020, 1, 1, tzinfo=UTC), "rescue-opened", "it does not come back")
    known = Incident(incident_id=INCIDENT, instance_id=RESCUED, execution_name="rescue-1", timeline=[opened])
    assert create_incident(aws.TABLE, known)


def _remove(context: Any, name: str = "rescue-1", **more: str) -> dict[str, Any]:
    """As a rescue of an older version calls, without its id."""
    return remove_rescue.handler({"executionName": name, **more}, context)


def _volume(tags: Any) -> str:
    specifications: Any = [{"ResourceType": "volume", "Tags": tags}]
    created = clients.ec2().create_volume(
        AvailabilityZone=f"{aws.REGION}a", Size=8, TagSpecifications=specifications if tags else []
    )
    volume_id: str = created["VolumeId"]
    return volume_id


def _snapshot(volume_id: str, tags: Any) -> str:
    specifications: Any = [{"ResourceType": "snapshot", "Tags": tags}]
    snapshot_id: str = clients.ec2().create_snapshot(VolumeId=volume_id, TagSpecifications=specifications)["SnapshotId"]
    return snapshot_id


def _collector(tags: Any, **more: Any) -> str:
    specifications: Any = [{"ResourceType": "instance", "Tags": tags}]
    launched = clients.ec2().run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, TagSpecifications=specifications, **more
    )
    instance_id: str = launched["Instances"][0]["InstanceId"]
    return instance_id


def _state(instance_id: str) -> str:
    described = clients.ec2().describe_instances(InstanceIds=[instance_id])["Reservations"]
    return described[0]["Instances"][0]["State"]["Name"]


def test_removes_all_of_its_own_also_what_was_made_twice_and_nothing_else(account: Account, context: Any) -> None:
    dump_volume = _volume([])
    snapshots = [_snapshot(dump_volume, TAGS), _snapshot(dump_volume, TAGS)]
    collectors = [_collector(TAGS), _collector(TAGS)]
    others = (_collector(OTHER), _snapshot(dump_volume, OTHER), _volume(OTHER))
    _volume(TAGS)

    first = _remove(context)

    # A collector is left until a later look finds it terminated.
    assert set(first["left"]) == set(collectors)
    assert _remove(context) == {"isAnythingLeft": False, "left": []}
    assert [_state(each) for each in collectors] == ["terminated", "terminated"]
    kept = clients.ec2().describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert set(snapshots).isdisjoint(each["SnapshotId"] for each in kept)
    assert _state(others[0]) == "running"
    assert others[1] in [each["SnapshotId"] for each in kept]
    volumes = [each["VolumeId"] for each in clients.ec2().describe_volumes()["Volumes"]]
    assert {dump_volume, others[2]} <= set(volumes)


def test_a_copy_in_use_is_left_until_it_is_free(account: Account, context: Any, instance_id: str) -> None:
    copy = _volume(TAGS)
    clients.ec2().attach_volume(VolumeId=copy, InstanceId=instance_id, Device="/dev/sdf")

    assert _remove(context) == {"isAnythingLeft": True, "left": [copy]}


def test_what_cannot_be_removed_keeps_nothing_else_from_it(
    account: Account, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot, copy = _snapshot(_volume([]), TAGS), _volume(TAGS)
    account.fail("DeleteSnapshot", "RequestLimitExceeded")

    assert _remove(context)["left"] == [snapshot]
    assert copy not in [each["VolumeId"] for each in clients.ec2().describe_volumes()["Volumes"]]


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(_tags(**{"hangdump:enrolled": "true"}), id="an-enrolled-instance"),
        pytest.param(_tags(**{"hangdump:instance-id": RESCUED}), id="a-dump-volume"),
        pytest.param(_tags(**{"hangdump:stack": "Another"}), id="of-another-stack"),
        pytest.param(_tags(**{"hangdump:incident": "20261123T040000Z-i-0fedcba9876543210"}), id="of-no-incident"),
        pytest.param(_tags(**{"hangdump:rescue-of": "i-0fedcba9876543210"}), id="of-another-instance"),
    ],
)
def test_what_only_carries_the_tag_of_a_rescue_is_not_removed(account: Account, context: Any, forged: Any) -> None:
    collector, volume = _collector(forged), _volume(forged)
    snapshot = _snapshot(_volume([]), forged)

    assert _remove(context) == {"isAnythingLeft": False, "left": []}

    assert _state(collector) == "running"
    assert volume in [each["VolumeId"] for each in clients.ec2().describe_volumes()["Volumes"]]
    assert account.named("DeleteSnapshot") == [], snapshot


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"executionName": "somebody-elses"}, id="another-execution-works-on-the-incident"),
        pytest.param({"timeline": []}, id="no-rescue-was-opened"),
        pytest.param(
            {"timeline": [{"at": "2999-01-01T00:00:00Z", "event": "rescue-opened"}]}, id="older-than-the-rescue"
        ),
    ],
)
def test_what_the_record_does_not_confirm_is_not_removed(context: Any, fields: dict[str, Any]) -> None:
    IncidentTable(aws.TABLE).update(INCIDENT, fields)
    collector = _collector(TAGS)
    assert _remove(context)["left"] == []
    assert _state(collector) == "running"


@pytest.mark.parametrize("name", ["*", "rescue-?", "", "a b", "x" * 81])
def test_a_name_that_matches_more_than_one_rescue_is_refused(account: Account, context: Any, name: str) -> None:
    collector = _collector(TAGS)
    with pytest.raises(InvalidInput, match="is no name of an execution"):
        _remove(context, name)
    assert _state(collector) == "running"


def test_removes_the_twin_of_an_analysis_whatever_else_worked_on_the_incident_since(context: Any) -> None:
    opened = timeline_entry(datetime(2020, 1, 2, tzinfo=UTC), "analysis-opened", "analysis-1")
    IncidentTable(aws.TABLE).update(INCIDENT, {"executionName": "somebody-elses"}, timeline=[opened])
    twin, rescues = _collector(_tags("analysis-1")), _collector(TAGS)

    assert _remove(context, "analysis-1")["left"] == [twin]
    assert _remove(context, "analysis-1") == {"isAnythingLeft": False, "left": []}
    assert (_state(twin), _state(rescues)) == ("terminated", "running")


def test_an_analysis_that_the_record_does_not_name_removes_nothing(context: Any) -> None:
    twin = _collector(_tags("analysis-1"))
    assert _remove(context, "analysis-1")["left"] == []
    assert _state(twin) == "running"


def test_an_instance_with_all_tags_that_another_launch_made_is_not_removed(context: Any) -> None:
    own = _collector(TAGS, ClientToken=client_token(EXECUTION))
    forged = _collector(TAGS)

    assert _remove(context, executionId=EXECUTION)["left"] == [own]

    assert (_state(own), _state(forged)) == ("terminated", "running")


def test_an_instance_of_this_launch_that_may_not_be_removed_counts_as_left(context: Any) -> None:
    """Somebody enrolled it: the execution must not end as if it were gone."""
    enrolled = _collector(_tags(**{"hangdump:enrolled": "true"}), ClientToken=client_token(EXECUTION))
    assert _remove(context, executionId=EXECUTION) == {"isAnythingLeft": True, "left": [enrolled]}
    assert _state(enrolled) == "running"


def test_an_analysis_removes_no_snapshot_and_no_volume(context: Any) -> None:
    """Its twin's disk goes with the twin. What else carries its tags is somebody's."""
    opened = timeline_entry(datetime(2020, 1, 2, tzinfo=UTC), "analysis-opened", "analysis-1")
    IncidentTable(aws.TABLE).update(INCIDENT, {}, timeline=[opened])
    volume = _volume(_tags("analysis-1"))
    snapshot = _snapshot(volume, _tags("analysis-1"))

    assert _remove(context, "analysis-1") == {"isAnythingLeft": False, "left": []}

    assert volume in [each["VolumeId"] for each in clients.ec2().describe_volumes()["Volumes"]]
    assert snapshot in [each["SnapshotId"] for each in clients.ec2().describe_snapshots(OwnerIds=["self"])["Snapshots"]]
