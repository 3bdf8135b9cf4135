"""The sweep on an account: what it finds, what it removes, that it always reports, and that no search stops another."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.handlers import sweep
from lambdas.incident.record import Incident, State, Verdict
from lambdas.incident.table import IncidentTable, create_incident
from lambdas.runtime import clients, moment
from lambdas.runtime.errors import VmcoreNotFound
from lambdas.runtime.execution import client_token, execution_arn
from lambdas.sweep import check_instances
from tests.lambdas.account import NOW, RESCUE_ARN, TABLE, Account
from tests.lambdas.bucket import Upload
from tests.lambdas.conftest import Clock, Launch
from tests.lambdas.provision.test_retire_instance import alarms, put_alarm

KEY = "vmcores/123456789012/eu-west-1/{instance}/{incident}/vmcore"
CONFIG = "0123456789abcdef"
READY: dict[str, Any] = {"ready": True, "findings": [], "kernel": "6.1.0-28-cloud-amd64", "configId": CONFIG}
KERNEL = READY["kernel"]
NOT_READY = READY | {"ready": False}
NOT_LOADED = {"code": "crash-kernel-not-loaded", "severity": "error", "observed": "kexec_crash_loaded is 0"}
# By moto's clock, which dates what is made.
RESCUED_NOW: dict[str, Any] = {
    "execution_name": "rescue-1",
    "timeline": [{"at": moment.iso(datetime.now(UTC)), "event": "rescue-opened"}],
}
Sweep = Callable[..., dict[str, Any]]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the instances answer to each document; a missing one answers READY and has no dump."""
    given: dict[str, Any] = {"check": READY, "find": VmcoreNotFound("none"), "asked": [], "parameters": []}

    def run_on_fleet(document: str, parameters: Any, instance_ids: list[str], _time_left: Any) -> dict[str, Any]:
        given["asked"] += instance_ids
        given["parameters"].append((document, parameters))
        answer = given["check" if document.endswith("check_kdump") else "find"]
        answered = {} if answer is None else dict.fromkeys(instance_ids, answer)
        return answered | {each: given[each] for each in instance_ids if each in given}

    monkeypatch.setattr(check_instances, "run_on_fleet", run_on_fleet)
    return given


@pytest.fixture
def run(
    account: Account, clock: Clock, context: Any, answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Sweep:
    """A sweep long after, when everything made before is old; with some of the deployment's variables changed."""

    def run(**variables: str) -> dict[str, Any]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        clock.at = NOW + timedelta(days=40_000)
        context.remaining_milliseconds = 900_000
        return sweep.handler({}, context)

    account.ping_status = "Online"
    return run


def make_volume(instance_id: str, **more: str) -> str:
    tags = {"hangdump:stack": "Hangdump", **({"hangdump:instance-id": instance_id} if not more else {}), **more}
    created = clients.ec2().create_volume(
        AvailabilityZone="eu-west-1a",
        Size=8,
        TagSpecifications=[
            {"ResourceType": "volume", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ],
    )
    return created["VolumeId"]


def volumes() -> set[str]:
    return {each["VolumeId"] for each in clients.ec2().describe_volumes()["Volumes"]}


def rescued(instance_id: str, incident: str) -> dict[str, str]:
    return {"hangdump:rescue": "rescue-1", "hangdump:incident": incident, "hangdump:rescue-of": instance_id}


def keep(incident_id: str, instance_id: str, **fields: Any) -> str:
    incident = Incident(incident_id=incident_id, instance_id=instance_id, opened_at="2020-11-20T04:00:00Z", **fields)
    assert create_incident(TABLE, incident)
    return incident_id


def terminate(instance_id: str) -> str:
    clients.ec2().terminate_instances(InstanceIds=[instance_id])
    return instance_id


def test_says_nothing_when_there_is_nothing_but_leaves_its_report(account: Account, launch: Launch, run: Sweep) -> None:
    put_alarm(launch())

    result = run()

    assert (result["findings"], result["failures"], result["unseen"]) == (0, [], [])
    assert account.messages == []
    report = json.loads(account.bucket.objects[result["report"]].data)
    assert (report["findings"], report["failures"]) == ([], [])
    assert result["report"].startswith("sweeps/")


def test_removes_the_alarm_of_a_terminated_instance_and_keeps_its_volume(
    account: Account, launch: Launch, run: Sweep
) -> None:
    gone, alive = terminate(launch()), launch()
    put_alarm(gone)
    put_alarm(alive)
    volume = make_volume(gone)

    run()

    assert alarms() == [f"hangdump-{alive}"]
    assert volume in volumes()
    (told,) = account.messages
    assert f"orphaned-volume {volume}" in told
    assert f"alarm-without-instance hangdump-{gone}" in told


def test_leaves_alone_what_only_looks_like_ours(account: Account, run: Sweep) -> None:
    clients.cloudwatch().put_metric_alarm(
        AlarmName="hangdump-i-0123456789abcdef0",
        Namespace="Shop",
        MetricName="Heartbeat",
        Dimensions=[{"Name": "InstanceId", "Value": "i-0123456789abcdef0"}],
        ComparisonOperator="LessThanThreshold",
        EvaluationPeriods=1,
        Period=60,
        Statistic="Sum",
        Threshold=1,
    )
    assert run()["findings"] == 0
    assert alarms() == ["hangdump-i-0123456789abcdef0"]


def test_ends_what_the_rescue_of_a_concluded_incident_left(account: Account, launch: Launch, run: Sweep) -> None:
    host = launch()
    incident = keep("20261120T040000Z-a", host, state=State.CONCLUDED, verdict=Verdict.RESCUED, **RESCUED_NOW)
    tags = {"hangdump:stack": "Hangdump", **rescued(host, incident)}
    dump_volume, copy = make_volume(host), make_volume(host, **rescued(host, incident))
    token = client_token(execution_arn(RESCUE_ARN, "rescue-1"))
    collector = launch(tags=tags, launched_at=datetime.now(UTC), client_token=token)
    snapshot = clients.ec2().create_snapshot(VolumeId=dump_volume)["SnapshotId"]
    clients.ec2().create_tags(Resources=[snapshot], Tags=[{"Key": key, "Value": tags[key]} for key in tags])

    result = run()

    assert result["acted"] == 3
    assert dump_volume in volumes()
    assert copy not in volumes()
    assert account.named("DeleteSnapshot") == [{"SnapshotId": snapshot}]
    assert account.named("TerminateInstances") == [{"InstanceIds": [collector]}]
    assert run()["findings"] == 1, "a second sweep finds nothing more than the dump volume, which here is not attached"


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({"execution_name": "rescue-1"}, id="never-rescued"),
        pytest.param(RESCUED_NOW | {"execution_name": "rescue-2"}, id="rescued-by-another-execution"),
    ],
)
def test_nothing_is_removed_that_only_says_that_a_rescue_made_it(
    account: Account, launch: Launch, run: Sweep, record: dict[str, Any]
) -> None:
    host = launch()
    incident = keep("20261120T040000Z-a", host, state=State.CONCLUDED, verdict=Verdict.CAPTURED, **record)
    tags = {"hangdump:stack": "Hangdump", **rescued(host, incident)}
    launch(tags=tags, launched_at=datetime.now(UTC))
    volume, kept = make_volume(host, **rescued(host, incident)), make_volume(host)
    snapshot = clients.ec2().create_snapshot(VolumeId=kept)["SnapshotId"]
    clients.ec2().create_tags(Resources=[snapshot], Tags=[{"Key": key, "Value": tags[key]} for key in tags])

    assert run()["acted"] == 0

    assert account.named("TerminateInstances") == account.named("DeleteSnapshot") == []
    assert volume in volumes()


@pytest.mark.parametrize("protecting", ["hangdump:enrolled", "hangdump:instance-id"])
def test_neither_an_enrolled_instance_nor_a_dump_volume_is_removed_whatever_its_tags(
    account: Account, launch: Launch, run: Sweep, protecting: str
) -> None:
    host = launch()
    incident = keep("20261120T040000Z-a", host, state=State.CONCLUDED, verdict=Verdict.RESCUED, **RESCUED_NOW)
    tags = {"hangdump:stack": "Hangdump", **rescued(host, incident), protecting: "true"}
    launch(tags=tags, launched_at=datetime.now(UTC))
    volume = make_volume(host, **rescued(host, incident), **{protecting: "true"})

    run()

    assert account.named("TerminateInstances") == []
    assert volume in volumes()


def test_aborts_an_upload_that_nobody_will_resume(account: Account, launch: Launch, run: Sweep) -> None:
    host = launch()
    for number, verdict in enumerate((Verdict.CAPTURED, Verdict.FAILED)):
        incident = keep(f"2026112{number}T040000Z-{host}", host, state=State.CONCLUDED, verdict=verdict)
        key = KEY.format(instance=host, incident=incident)
        account.bucket.uploads[f"upload-{number}"] = Upload(key, {})
    account.bucket.uploads["upload-2"] = Upload("vmcores/somebody/elses", {})

    run()

    assert sorted(account.bucket.uploads) == ["upload-2"]


def test_leaves_the_upload_of_a_running_execution(account: Account, launch: Launch, run: Sweep) -> None:
    host = launch()
    name = f"20261120T040000Z-{host}"
    incident = keep(name, host, state=State.INTERRUPTED, execution_name=name)
    account.bucket.uploads["upload"] = Upload(KEY.format(instance=host, incident=incident), {})
    clients.stepfunctions().start_execution(stateMachineArn=account_machine(), name=name)

    result = run()

    assert sorted(account.bucket.uploads) == ["upload"]
    assert result["findings"] == 0


def account_machine() -> str:
    return clients.stepfunctions().list_state_machines()["stateMachines"][0]["stateMachineArn"]


def test_reports_an_incident_that_never_ended(account: Account, launch: Launch, run: Sweep) -> None:
    host = launch()
    keep("20261120T040000Z-a", host, state=State.INTERRUPTED)
    keep("20261120T040000Z-b", host, state=State.REFUSED)

    assert run()["findings"] == 1
    assert "incident-without-end 20261120T040000Z-a" in account.messages[0]
    assert account.interrupts == []


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(NOT_LOADED, id="the-consequence-alone"),
        pytest.param(NOT_LOADED | {"code": "kexec-load-disabled"}, id="its-cause"),
    ],
)
def test_takes_the_mark_from_an_instance_that_could_not_dump(
    account: Account, launch: Launch, run: Sweep, answers: dict[str, Any], fault: dict[str, str]
) -> None:
    host = launch()
    answers["check"] = NOT_READY | {"findings": [fault], "crashKernelLoaded": False}

    run()

    tags = clients.ec2().describe_tags(Filters=[{"Name": "resource-id", "Values": [host]}])["Tags"]
    assert [tag["Key"] for tag in tags] == ["hangdump:enrolled"]
    assert fault["code"] in account.messages[0]


@pytest.mark.parametrize(("collects", "started"), [("false", False), ("true", True)])
def test_a_dump_of_a_panic_by_itself_is_reported_or_collected_once(
    instance_id: str, account: Account, run: Sweep, answers: dict[str, Any], collects: str, started: bool
) -> None:
    answers["find"] = {"status": "complete", "vmcore": {"path": "/var/crash/1/dump", "sizeBytes": 40 << 20}}

    run(SWEEP_COLLECTS=collects)
    run(SWEEP_COLLECTS=collects)

    assert "/var/crash/1/dump (40 MiB)" in account.messages[0]
    assert [name.endswith(instance_id) for name in account.executions] == ([True] if started else [])


def test_asks_only_instances_that_are_ready_enrolled_and_online(
    account: Account, launch: Launch, run: Sweep, answers: dict[str, Any]
) -> None:
    host = launch()
    launch(tags={"hangdump:enrolled": "true"})
    launch(tags={"hangdump:ready": "2026-11-22T00:00:00Z"})
    clients.ec2().stop_instances(InstanceIds=[launch()])

    run()

    assert set(answers["asked"]) == {host}


def test_goes_on_the_next_time_with_the_instances_that_it_did_not_come_to(
    launch: Launch, account: Account, run: Sweep, answers: dict[str, Any], context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_instances, "INSTANCES_A_COMMAND", 1)
    hosts = sorted(launch() for _ in range(3))
    account.meetings["DescribeInstanceInformation"] = lambda: setattr(context, "remaining_milliseconds", 1000)
    for host in (*hosts, hosts[0]):
        answers["asked"].clear()
        result = run()
        assert set(answers["asked"]) == {host}
        assert "readiness and dumps of 2 instances" in result["unseen"][0]


def test_says_which_instances_did_not_answer(launch: Launch, run: Sweep, answers: dict[str, Any]) -> None:
    host = launch()
    answers["check"] = None
    assert run()["unseen"] == [f"readiness of {host}: no answer in time"]


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param({"findings": None, "ready": True, "kernel": KERNEL, "configId": CONFIG}, id="findings-are-null"),
        pytest.param({"vmcore": "x"}, id="vmcore-is-text"),
        pytest.param({"vmcore": {"path": "/x", "sizeBytes": "many"}, "status": "complete"}, id="size-is-text"),
        pytest.param({"ready": True, "findings": [[[]]], "kernel": KERNEL, "configId": CONFIG}, id="nested-list"),
        pytest.param({"ready": True, "findings": [], "kernel": ["6.1"], "configId": CONFIG}, id="kernel-is-a-list"),
    ],
)
def test_a_wrong_answer_of_one_instance_costs_only_itself(
    launch: Launch, run: Sweep, answers: dict[str, Any], clock: Clock, lie: dict[str, Any]
) -> None:
    liar, honest = launch(), launch()
    answers[liar] = lie

    result = run()

    assert result["failures"] == []
    assert [liar in each and "unexpected result" in each for each in result["unseen"]] == [True, True]
    assert tags_of(honest)["hangdump:ready"] == clock.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert tags_of(liar)["hangdump:ready"] == "2026-11-22T00:00:00Z"


def test_long_findings_leave_the_notification_readable(
    account: Account, launch: Launch, run: Sweep, answers: dict[str, Any]
) -> None:
    findings = [NOT_LOADED | {"code": f"fault-{number}", "observed": "x" * 380} for number in range(36)]
    answers["check"] = NOT_READY | {"findings": findings}
    for _ in range(60):
        launch()

    result = run()

    assert result["findings"] == 60
    (told,) = account.messages
    assert len(told) < 20_000
    assert max(map(len, told.splitlines())) < 700
    assert "more in the report." in told
    assert result["report"] in told


SEARCHES = [
    *("DescribeVolumes", "DescribeSnapshots", "DescribeInstances", "ListMultipartUploads", "DescribeAlarms"),
    *("ListExecutions", "Scan"),
]


@pytest.mark.parametrize("operation", SEARCHES)
def test_a_search_that_fails_is_told_and_stops_no_other(
    account: Account, launch: Launch, run: Sweep, operation: str
) -> None:
    gone = terminate(launch())
    put_alarm(gone)
    keep("20261120T040000Z-a", launch(), state=State.INTERRUPTED)
    account.fail(operation, "AccessDeniedException")

    result = run()

    assert result["failures"]
    found = json.loads(account.bucket.objects[result["report"]].data)["findings"]
    kinds = {each["kind"] for each in found}
    lost = {
        "DescribeInstances": {"alarm-without-instance"},
        "DescribeAlarms": {"alarm-without-instance"},
        "ListExecutions": {"incident-without-end"},
        "Scan": {"incident-without-end"},
    }
    assert kinds == {"alarm-without-instance", "incident-without-end"} - lost.get(operation, set())
    assert "searches failed" in account.messages[0]


def test_an_action_that_is_refused_is_told_and_stops_no_other(account: Account, launch: Launch, run: Sweep) -> None:
    put_alarm(terminate(launch()))
    host = launch()
    incident = keep(f"20261120T040000Z-{host}", host, state=State.CONCLUDED, verdict=Verdict.CAPTURED)
    account.bucket.uploads["upload"] = Upload(KEY.format(instance=host, incident=incident), {})
    account.fail("DeleteAlarms", "AccessDenied")

    result = run()

    assert result["acted"] == 1
    assert account.bucket.uploads == {}
    assert "delete-alarm failed" in account.messages[0]


def test_what_is_gone_by_the_time_counts_as_removed(account: Account, launch: Launch, run: Sweep) -> None:
    put_alarm(terminate(launch()))
    account.fail("DeleteAlarms", "ResourceNotFound")
    assert run()["acted"] == 1


def test_removes_nothing_when_the_deployment_says_so(account: Account, launch: Launch, run: Sweep) -> None:
    gone = terminate(launch())
    put_alarm(gone)

    result = run(SWEEP_REMOVES="false")

    assert (result["findings"], result["acted"]) == (1, 0)
    assert alarms() == [f"hangdump-{gone}"]


def test_a_bucket_that_refuses_keeps_the_findings_from_nobody(account: Account, launch: Launch, run: Sweep) -> None:
    make_volume(terminate(launch()))
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject")
    account.errors["PutObject"] = error

    assert run()["report"] == ""
    assert "orphaned-volume" in account.messages[0]
    assert "could not be written" in account.messages[0]


def test_an_instance_left_in_standby_is_reported(
    account: Account, launch: Launch, run: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = launch()
    keep("20261120T040000Z-a", host, state=State.CONCLUDED, verdict=Verdict.CAPTURED)
    IncidentTable(TABLE).update("20261120T040000Z-a", {"autoScalingGroup": "shop"})

    def in_standby(parameters: dict[str, Any]) -> dict[str, Any]:
        one = {"AutoScalingGroupName": "shop", "LifecycleState": "Standby"}
        return {"AutoScalingInstances": [{"InstanceId": each, **one} for each in parameters["InstanceIds"]]}

    monkeypatch.setattr(account, "_DescribeAutoScalingInstances", in_standby)
    run()
    assert f"left-in-standby {host}" in account.messages[0]


def tags_of(instance_id: str) -> dict[str, str]:
    (instance,) = clients.ec2().describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
    return {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}


def test_an_instance_that_is_seen_ready_is_marked_so_with_its_kernel(run: Sweep, launch: Launch, clock: Clock) -> None:
    instance_id = launch()
    run()
    tags = tags_of(instance_id)
    assert tags["hangdump:ready"] == clock.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (tags["hangdump:ready-kernel"], tags["hangdump:ready-config"]) == ("6.1.0-28-cloud-amd64", CONFIG)


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(NOT_READY | {"findings": [NOT_LOADED]}, id="not-ready"),
        pytest.param({"ready": True, "findings": []}, id="kernel-unknown"),
        pytest.param(None, id="no-answer"),
    ],
)
def test_readiness_that_was_not_seen_is_not_renewed(
    run: Sweep, launch: Launch, answers: dict[str, Any], check: dict[str, Any] | None
) -> None:
    answers["check"] = check
    instance_id = launch()
    run(SWEEP_UNMARKS="false")
    assert tags_of(instance_id)["hangdump:ready"] == "2026-11-22T00:00:00Z"


def test_readiness_that_cannot_be_noted_is_told_and_stops_nothing(run: Sweep, launch: Launch, account: Account) -> None:
    launch()
    account.fail("CreateTags", "InvalidInstanceID.NotFound")
    result = run()
    assert any("could not be tagged" in each for each in result["unseen"])
    assert result["report"]


def test_an_instance_is_checked_where_its_own_settings_have_the_dump_volume(
    run: Sweep, instance_id: str, answers: dict[str, Any]
) -> None:
    run()
    assert ("Hangdump-check_kdump", {"mountPoint": ["found"]}) in answers["parameters"]
