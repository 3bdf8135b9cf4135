"""status, fleet, why, incidents and incident: what they show of an account, and how they end."""

import json
from typing import Any

import pytest

from lab.simulator.world import World
from lambdas.runtime.stack_parameter import STACK_PARAMETER, VERSION
from tests.hangdump_cli.runner import answer, hangdump


def _incident(world: World) -> str:
    """The id of a captured hang."""
    world.hang()
    (found,) = world.records()
    return found


def _switch(world: World, value: str) -> None:
    world.account.client("ssm").put_parameter(Name="/hangdump/interrupts", Value=value, Overwrite=True)


def test_status_counts_ready_instances_and_names_the_last_incident(world: World) -> None:
    incident = _incident(world)

    said = hangdump("status")

    assert said.exit_code == 0, said.output
    for words in (f"Hangdump {VERSION}", "1 of 1 enrolled are ready", incident, "captured", "Interrupts   on"):
        assert words in said.stdout


def test_status_is_not_good_with_a_red_alarm_or_an_unready_instance_or_no_interrupts(world: World) -> None:
    assert hangdump("status").exit_code == 0
    world.add_host()
    unready = answer("status")
    assert (unready["enrolled"], unready["ready"], hangdump("status").exit_code) == (2, 1, 1)
    world.account.client("cloudwatch").set_alarm_state(
        AlarmName="Hangdump no sweep", StateValue="ALARM", StateReason="no datum"
    )
    assert [each["name"] for each in answer("status")["redAlarms"]] == ["Hangdump no sweep"]
    _switch(world, "off")
    assert "off: nothing is interrupted" in hangdump("status").stdout


def test_fleet_says_why_an_instance_is_not_ready_and_what_to_do(world: World) -> None:
    _, fresh = world.add_host()
    _, half = world.add_host()
    world.run("ProvisionDumpVolume", instanceId=half)
    faulty_host, faulty = world.add_host(is_reserved=True)
    faulty_host.is_ready = False
    world.run("ProvisionDumpVolume", instanceId=faulty)

    found = {each["instanceId"]: each for each in answer("fleet")["instances"]}

    assert found[world.instance_id]["isReady"]
    assert found[world.instance_id]["kernel"] == "6.1.0-28-cloud-amd64"
    assert found[world.instance_id]["volumes"][0]["sizeGib"] == 8
    assert (found[fresh]["reason"], found[fresh]["next"]) == ("never-provisioned", f"hangdump enrol {fresh}")
    assert (found[half]["reason"], "Reboot it" in found[half]["next"]) == ("reboot-required", True)
    assert (found[faulty]["reason"], found[faulty]["detail"]) == ("KdumpNotReady", "crash-kernel-not-loaded")
    said = hangdump("fleet", "--not-ready")
    assert said.exit_code == 1
    assert world.instance_id not in said.stdout
    assert "not ready: never provisioned" in said.stdout


def test_fleet_finds_the_reason_in_an_execution_that_hangdump_started_itself(world: World) -> None:
    host, faulty = world.add_host(is_reserved=True)
    host.is_ready = False
    hangdump("enrol", faulty)

    (found,) = [each for each in answer("fleet")["instances"] if each["instanceId"] == faulty]

    assert found["reason"] == "KdumpNotReady"


def test_a_stopped_a_silent_and_a_disarmed_instance_are_told_apart(world: World) -> None:
    ec2 = world.account.client("ec2")
    _, silent = world.add_host(in_ssm=False)
    ec2.create_tags(Resources=[world.instance_id], Tags=[{"Key": "hangdump:disarmed", "Value": "20261101T000000Z-i-1"}])

    reasons = {each["instanceId"]: each["reason"] for each in answer("fleet")["instances"]}

    assert reasons == {world.instance_id: "disarmed", silent: "agent-not-online"}


def test_an_empty_fleet_names_the_next_command(world: World) -> None:
    world.account.client("ec2").delete_tags(Resources=[world.instance_id], Tags=[{"Key": "hangdump:enrolled"}])
    said = hangdump("fleet")
    assert (said.exit_code, "Next: hangdump enrol INSTANCE" in said.stdout) == (0, True)


def test_why_shows_each_finding_with_its_remedy(world: World) -> None:
    host, instance = world.add_host(is_reserved=True)
    host.is_ready = False
    world.run("ProvisionDumpVolume", instanceId=instance)

    said = hangdump("why", instance)

    assert said.exit_code == 1
    for words in ("KdumpNotReady", "crash-kernel-not-loaded", "load it", "hangdump:enrolled"):
        assert words in said.stdout


def test_why_applies_the_rules_of_the_stack_to_what_is_known_before_a_hang(world: World) -> None:
    assert answer("why", world.instance_id)["wouldRefuse"] == []
    assert "Nothing known now refuses" in hangdump("why", world.instance_id).stdout
    _, fresh = world.add_host()
    _switch(world, "off")

    refusals = {each["reason"]: each["next"] for each in answer("why", fresh)["wouldRefuse"]}

    assert {"kill-switch-off", "not-ready", "boot-grace"} <= set(refusals)
    assert all(refusals.values())


def test_why_names_the_last_refusals_with_the_advice(world: World) -> None:
    _switch(world, "off")
    world.hang()

    said = hangdump("why", world.instance_id)

    assert "kill-switch-off" in said.stdout
    assert "To allow interrupts, run `hangdump interrupts on`" in said.stdout


@pytest.mark.parametrize(
    ("instance", "name", "code"), [("i-00000000000000000", "InstanceNotFound", 1), ("web-1", "InvalidInstanceId", 2)]
)
def test_an_instance_that_is_none_is_one_line_and_the_next_step(
    world: World, instance: str, name: str, code: int
) -> None:
    said = hangdump("why", instance)
    assert said.exit_code == code
    assert said.stderr.startswith(f"{name}: ")
    assert said.stderr.count("\n") == 2
    assert json.loads(hangdump("why", instance, "--json").stdout)["command"] == "why"


def test_incident_shows_cause_timeline_and_links(world: World) -> None:
    incident = _incident(world)

    said = hangdump("incident", incident)

    assert said.exit_code == 0
    for words in ("captured", "interrupt-sent", f"hangdump dump get {incident}", "s3://", "console.aws.amazon.com"):
        assert words in said.stdout
    assert answer("incident", incident)["verdict"] == "captured"


def test_a_bad_verdict_and_an_unknown_incident_are_not_good(world: World) -> None:
    _switch(world, "off")
    world.hang()
    (refused,) = world.records()

    said = hangdump("incident", refused)

    assert (said.exit_code, "refused" in said.stdout) == (1, True)
    assert hangdump("incident", "20200101T000000Z-i-0123456789abcdef0").exit_code == 1


def test_incidents_lists_the_newest_first_of_one_instance_or_of_all(world: World) -> None:
    assert "No incidents." in hangdump("incidents").stdout
    first = _incident(world)
    _switch(world, "off")
    hangdump("interrupt", world.instance_id, "--yes")

    listed = [each["incidentId"] for each in answer("incidents")["incidents"]]

    assert len(listed) == 2
    assert listed[1] == first
    assert answer("incidents", "--limit", "1")["incidents"][0]["incidentId"] == listed[0]
    assert len(answer("incidents", "--instance", world.instance_id)["incidents"]) == 2
    assert answer("incidents", "--instance", "i-00000000000000000")["incidents"] == []


# ---- which stack


def test_a_stack_without_the_parameter_is_found_by_its_outputs(world: World) -> None:
    world.account.client("ssm").delete_parameter(Name=STACK_PARAMETER)
    said = answer("status")
    assert (said["stack"], said["version"], said["ready"]) == ("Hangdump", "unknown", 1)
    assert "of an older version" in hangdump("why", world.instance_id).stdout
    assert hangdump("enrol", "--plan", world.instance_id).exit_code == 3


def test_a_stack_that_is_named_is_not_exchanged_for_the_one_that_is_found(world: World) -> None:
    said = hangdump("--stack", "Elsewhere", "status")
    assert said.exit_code == 3
    assert "StackNotFound: There is no stack Elsewhere" in said.stderr
    assert hangdump("--stack", "Hangdump", "status").exit_code == 0


def test_a_newer_stack_says_that_the_command_line_is_too_old(world: World) -> None:
    ssm = world.account.client("ssm")
    content: dict[str, Any] = json.loads(ssm.get_parameter(Name=STACK_PARAMETER)["Parameter"]["Value"])
    newer = json.dumps(content | {"schemaVersion": 2, "version": "9.0"})
    ssm.put_parameter(Name=STACK_PARAMETER, Value=newer, Overwrite=True)
    said = hangdump("status")
    assert (said.exit_code, "has version 9.0" in said.stderr) == (3, True)


@pytest.mark.parametrize("command", ["status", "fleet", "incidents", "interrupts", "doctor"])
def test_every_answer_in_json_names_its_schema_and_its_command(world: World, command: str) -> None:
    before, after = hangdump("--json", command), hangdump(command, "--json")
    content = json.loads(after.stdout)
    assert (content["schemaVersion"], content["command"]) == (1, command)
    assert json.loads(before.stdout).keys() == content.keys()
