"""plan_fleet and note_provisioning against the table, the bucket and EC2; the decisions have tests of their own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from lambdas.fleet.row import FleetRow, Status
from lambdas.fleet.table import read_instance_row, write_row
from lambdas.handlers import note_provisioning, plan_fleet
from lambdas.incident.drill_keys import TWIN_ID, drill_key
from lambdas.incident.update_expression import serialize
from lambdas.instance import alarms
from lambdas.runtime import clients, moment
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.conftest import Clock, Launch
from tests.lambdas.fleet.fleets import CURRENT

ENROLLED = {"hangdump:enrolled": "true"}
READY = {**ENROLLED, "hangdump:ready": "2026-11-22T00:00:00Z"}


def plan(context: Any, number: int = 1, *, name: str = "enrol") -> dict[str, Any]:
    return plan_fleet.handler({"executionName": name, "round": number}, context)


def work(account: Account, planned: dict[str, Any]) -> list[dict[str, Any]]:
    """What the map will read."""
    items: list[dict[str, Any]] = json.loads(account.bucket.objects[planned["key"]].data)
    return items


def row(instance_id: str) -> FleetRow:
    found = read_instance_row(aws.FLEET_TABLE, instance_id)
    assert found is not None
    return found


def note(context: Any, instance_id: str, **what: Any) -> str:
    event = {"instanceId": instance_id, "executionArn": f"{aws.PROVISION_ARN}:one", **what}
    return str(note_provisioning.handler(event, context)["status"])


def test_writes_the_work_of_a_round_and_claims_it(account: Account, launch: Launch, context: Any) -> None:
    new, ready = launch(tags=ENROLLED), launch(tags=READY)
    launch(tags={})

    planned = plan(context)

    assert (planned["items"], planned["halt"], planned["seen"], planned["isWaiting"]) == (1, "", "0", False)
    (item,) = work(account, planned)
    assert item["input"] == {"instanceId": new, "reboot": False, "conflictingAlarms": []}
    assert item["name"].startswith(new)
    assert item["notBefore"].endswith("Z")
    assert item["executionArn"].endswith(f":execution:ProvisionDumpVolume:{item['name']}")
    assert (row(new).round, row(new).status) == ("enrol/1", Status.NOT_READY)
    assert row(ready).reasons[0].code == "adopted"
    assert plan(context, 2)["items"] == 0


def test_lists_an_instance_with_the_tag_of_a_drill_unless_the_drill_knows_it(
    account: Account, launch: Launch, context: Any
) -> None:
    tagged, twin = (launch(tags={**READY, "hangdump:drill": "by-hand"}) for _ in range(2))
    clients.dynamodb().put_item(TableName=aws.TABLE, Item=serialize({"pk": drill_key("by-hand"), TWIN_ID: twin}))

    plan(context)

    assert row(tagged).status is Status.READY
    assert read_instance_row(aws.FLEET_TABLE, twin) is None


def test_a_round_takes_five_at_first(account: Account, launch: Launch, context: Any) -> None:
    for _ in range(7):
        launch(tags=ENROLLED)

    rounds = [plan(context, number) for number in (1, 2)]

    assert [each["items"] for each in rounds] == [5, 2]
    names = {item["instanceId"] for each in rounds for item in work(account, each)}
    assert len(names) == 7


def test_reads_the_bell_before_it_looks_at_anything(account: Account, launch: Launch, context: Any) -> None:
    launch(tags=ENROLLED)
    account.calls.clear()

    plan(context)

    first = account.calls[0]
    assert (first.operation, first.parameters["Key"]) == ("GetItem", {"pk": {"S": "bell"}})


def test_says_how_often_the_bell_was_rung(account: Account, context: Any) -> None:
    item: Any = {"pk": {"S": "bell"}, "rung": {"N": "12"}, "holder": {"S": "somebody"}}
    clients.dynamodb().put_item(TableName=aws.FLEET_TABLE, Item=item)
    assert plan(context)["seen"] == "12"


@pytest.mark.parametrize(
    ("association", "status", "items"),
    [("our-association", "Failed", 1), ("our-association", "Success", 0), ("of-somebody-else", "Failed", 0)],
)
def test_only_a_failure_of_our_own_association_counts(
    account: Account, launch: Launch, context: Any, association: str, status: str, items: int
) -> None:
    instance_id = launch(tags=READY)
    then = moment.iso(moment.now() - timedelta(hours=2))
    known: dict[str, Any] = {"configuration_id": CURRENT, "tried_configuration_id": CURRENT, "tried_at": then}
    write_row(aws.FLEET_TABLE, FleetRow(instance_id=instance_id, status=Status.READY, **known))
    run = {"AssociationId": association, "Status": status, "ExecutionDate": moment.now() - timedelta(hours=1)}
    others = {"AssociationId": "patches", "Status": "Failed", "ExecutionDate": moment.now()}
    account.association_runs[instance_id] = [others, run]

    assert plan(context)["items"] == items


def test_nobody_is_asked_for_the_checks_of_instances_that_are_not_ready(
    account: Account, launch: Launch, context: Any
) -> None:
    """All of a fleet that was tagged a moment ago fail their first check."""
    for _ in range(3):
        run = {"AssociationId": "our-association", "Status": "Failed", "ExecutionDate": moment.now()}
        account.association_runs[launch(tags=ENROLLED)] = [run]

    assert plan(context)["items"] == 3
    assert account.named("DescribeInstanceAssociationsStatus") == []


def test_lists_the_alarms_once_for_all_instances(account: Account, launch: Launch, context: Any) -> None:
    launched = [launch(tags=ENROLLED) for _ in range(3)]
    for instance_id in launched[:2]:
        put_rival(instance_id)
    account.calls.clear()

    planned = plan(context)

    assert len(account.named("DescribeAlarms")) == 1
    assert account.named("DescribeAlarmsForMetric") == []
    found = {item["instanceId"]: item["input"]["conflictingAlarms"] for item in work(account, planned)}
    assert found == {
        launched[0]: [f"web-down-{launched[0]}: reboot"],
        launched[1]: [f"web-down-{launched[1]}: reboot"],
        launched[2]: [],
    }


def put_rival(instance_id: str) -> None:
    clients.cloudwatch().put_metric_alarm(
        AlarmName=f"web-down-{instance_id}",
        Namespace="AWS/EC2",
        MetricName="StatusCheckFailed",
        Dimensions=[{"Name": "InstanceId", "Value": instance_id}],
        AlarmActions=[f"arn:aws:automate:{aws.REGION}:ec2:reboot"],
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=2,
        Period=60,
        Statistic="Maximum",
        Threshold=0,
    )


def test_leaves_the_gate_its_share_of_the_rate_of_alarms(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """DescribeAlarms has 9 requests a second. moto gives all alarms in one page."""
    monkeypatch.setattr(alarms, "time", clock)
    monkeypatch.setattr(clients, "cloudwatch", lambda: PagedAlarms(pages=20))
    before = clock.at

    assert len(alarms.list_rival_alarms()) == 20

    assert 20 / (clock.at - before).total_seconds() < 5


@dataclass
class PagedAlarms:
    """Its own paginator: a rival alarm a page, each of another instance."""

    pages: int

    def get_paginator(self, _operation: str) -> "PagedAlarms":
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        for number in range(self.pages):
            alarm = {
                "AlarmName": "web-down",
                "Namespace": "AWS/EC2",
                "MetricName": "StatusCheckFailed",
                "Dimensions": [{"Name": "InstanceId", "Value": f"i-{number:017x}"}],
                "AlarmActions": [f"arn:aws:automate:{aws.REGION}:ec2:reboot"],
            }
            yield {"MetricAlarms": [alarm]}


def test_nobody_is_retired_because_a_list_was_late(account: Account, launch: Launch, context: Any) -> None:
    instance_id = launch(tags=READY)
    plan(context)
    clients.ec2().delete_tags(Resources=[instance_id], Tags=[{"Key": "hangdump:enrolled"}])

    planned = plan(context)

    (item,) = work(account, planned)
    assert (item["action"], item["reason"]) == ("retire", "tag-removed")
    assert row(instance_id).status is Status.RETIRING
    assert note(context, instance_id, isRetired=True) == "retired"
    assert plan(context, name="later")["items"] == 0


def test_an_instance_that_ec2_forgot_is_retired(account: Account, context: Any) -> None:
    write_row(aws.FLEET_TABLE, FleetRow(instance_id="i-0123456789abcdef0", status=Status.READY))

    (item,) = work(account, plan(context))

    assert (item["action"], item["reason"]) == ("retire", "instance-terminated")


def test_a_row_that_somebody_wrote_meanwhile_is_not_overwritten(account: Account, launch: Launch, context: Any) -> None:
    instance_id = launch(tags=ENROLLED)

    def note_in_between() -> None:
        account.meetings.pop("DescribeInstances")
        write_row(aws.FLEET_TABLE, FleetRow(instance_id=instance_id, status=Status.READY, kernel="6.1.0"))

    account.meetings["DescribeInstances"] = note_in_between

    planned = plan(context)

    assert planned["items"] == 0
    assert (row(instance_id).status, row(instance_id).kernel) == (Status.READY, "6.1.0")


def test_waits_for_the_agent_of_a_young_instance(account: Account, launch: Launch, context: Any) -> None:
    young = launch(tags=ENROLLED, launched_at=aws.NOW)
    account.ping_status = None

    planned = plan(context)

    assert (planned["items"], planned["isWaiting"]) == (0, True)
    assert row(young).status is Status.WAITING_FOR_AGENT
    account.ping_status = "Online"
    assert plan(context, 2)["items"] == 1


def test_halts_when_the_round_before_failed_alike(account: Account, launch: Launch, context: Any) -> None:
    for _ in range(12):
        launch(tags=ENROLLED)
    # As if five had been done before: all twelve come in the second round.
    planned = plan(context, 2)
    for item in work(account, planned):
        failure = {"Error": "PackageUnavailable", "Cause": "No mirror."}
        note(context, item["instanceId"], failure=failure)

    third = plan(context, 3)

    assert third["items"] == 0
    assert "12 of 12" in third["halt"]
    assert "PackageUnavailable" in third["halt"]


def test_notes_an_outcome_and_what_it_was_made_ready_with(account: Account, context: Any) -> None:
    outcome = {"status": "ready", "volumeId": "vol-1", "kdump": {"kernel": "6.1.0"}}

    assert note(context, "i-0123456789abcdef0", outcome=outcome, configurationId="settings-of-then") == "ready"

    assert row("i-0123456789abcdef0").configuration_id == "settings-of-then"


def test_notes_an_execution_once_however_often_it_is_told(account: Account, context: Any) -> None:
    failure = {"Error": "PackageUnavailable", "Cause": '{"errorMessage": "No mirror.", "stackTrace": []}'}
    for _ in range(2):
        note(context, "i-0123456789abcdef0", failure=failure)
    described = {"Status": "FAILED", **failure}
    note(context, "i-0123456789abcdef0", seen=described)

    found = row("i-0123456789abcdef0")
    assert (found.attempts, found.status, found.reasons[0].observed) == (1, Status.FAILED, "No mirror.")
    assert found.next_attempt_at == "2026-11-23T05:00:30Z"


@pytest.mark.parametrize("error", ["InvalidInput", "ProvisioningInProgress", "InstanceNotEnrolled"])
def test_a_wrong_request_says_nothing_of_its_instance(account: Account, context: Any, error: str) -> None:
    write_row(aws.FLEET_TABLE, FleetRow(instance_id="i-0123456789abcdef0", status=Status.READY))
    assert note(context, "i-0123456789abcdef0", failure={"Error": error, "Cause": "…"}) == "ready"


def test_an_instance_that_was_enrolled_again_is_not_called_retired(account: Account, context: Any) -> None:
    write_row(aws.FLEET_TABLE, FleetRow(instance_id="i-0123456789abcdef0", status=Status.READY))
    assert note(context, "i-0123456789abcdef0", isRetired=True) == "ready"


def test_a_note_reads_again_when_another_one_was_faster(account: Account, context: Any) -> None:
    def write_in_between() -> None:
        account.meetings.pop("PutItem")
        write_row(aws.FLEET_TABLE, FleetRow(instance_id="i-0123456789abcdef0", round="enrol/1"))

    account.meetings["PutItem"] = write_in_between

    note(context, "i-0123456789abcdef0", failure={"Error": "DeviceHoldsData", "Cause": "ext4."})

    found = row("i-0123456789abcdef0")
    assert (found.round, found.error, found.tried_configuration_id) == ("enrol/1", "DeviceHoldsData", CURRENT)
    assert found.tried_at == moment.iso(aws.NOW)


def test_the_settings_of_a_failed_attempt_are_those_of_the_profile(account: Account, context: Any) -> None:
    write_row(aws.FLEET_TABLE, FleetRow(instance_id="i-0123456789abcdef0", profile="database"))
    note(context, "i-0123456789abcdef0", failure={"Error": "DeviceHoldsData", "Cause": "ext4."})
    assert row("i-0123456789abcdef0").tried_configuration_id == "settings-of-database"


def test_a_profile_is_read_from_the_tag(account: Account, launch: Launch, context: Any) -> None:
    instance_id = launch(tags={**ENROLLED, "hangdump:profile": "database"})
    plan(context)
    assert (row(instance_id).profile, row(instance_id).tried_configuration_id) == ("database", "settings-of-database")
