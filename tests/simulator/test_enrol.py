"""EnrolFleet from a tag to a ready instance, in virtual time: rings, rounds, retries, drift, retirement."""

import os
from itertools import pairwise
from typing import Any

import pytest

from lab.simulator.injection import ALWAYS, Fault, Site
from lab.simulator.modelled_host import BareHost
from lab.simulator.scheduler import scheduler
from lab.simulator.world import ENROLLED, World
from lambdas.fleet.row import FleetRow

NO_MIRROR = {"error": "PackageUnavailable", "message": "No mirror."}
Hosts = dict[str, BareHost]


def enrolments(world: World) -> list[tuple[str, Any]]:
    return [(each.status, each.output) for each in world.executions() if each.state_machine.name == "EnrolFleet"]


def provisionings(world: World, instance_id: str) -> int:
    return sum(instance_id in each.name for each in world.executions() if "Provision" in each.state_machine.name)


def owners_tag(world: World, instance_id: str, value: str | None, key: str = "hangdump:enrolled") -> None:
    ec2 = world.account.client("ec2")
    if value is None:
        ec2.delete_tags(Resources=[instance_id], Tags=[{"Key": key}])
    else:
        ec2.create_tags(Resources=[instance_id], Tags=[{"Key": key, "Value": value}])


def tagged(world: World, count: int) -> Hosts:
    world.let_enrol()
    added = [world.add_host(is_reserved=True) for _ in range(count)]
    return {instance_id: host for host, instance_id in added}


def statuses(world: World, hosts: Hosts) -> set[str]:
    return {world.fleet()[each].status.value for each in hosts}


def an_hour_later(world: World) -> None:
    scheduler.sleep(3600)
    world.ring()
    world.settle()


def row_of(world: World, instance_id: str) -> FleetRow:
    return world.fleet()[instance_id]


def dump_levels(world: World, instance_id: str) -> list[str]:
    """With which it was configured, one after the other."""
    sent = world.account.client("ssm").list_commands(InstanceId=instance_id)["Commands"]
    ours = [each for each in sent if each["DocumentName"].endswith("configure_kdump")]
    return [each["Parameters"]["dumpLevel"][0] for each in sorted(ours, key=lambda each: each["RequestedDateTime"])]


def test_a_tag_is_all_that_an_owner_does(world: World) -> None:
    world.let_enrol()
    host, instance_id = world.add_host(is_reserved=True, tags={})

    owners_tag(world, instance_id, "true")
    world.settle()

    row = row_of(world, instance_id)
    assert (row.status, row.attempts, row.kernel) == ("ready", 0, "6.1.0-28-cloud-amd64")
    assert "hangdump:ready" in world.tags_of(instance_id)
    assert world.alarms_of(instance_id) == [f"hangdump-{instance_id}"]
    assert enrolments(world) == [("SUCCEEDED", {"status": "done"})]
    assert host.reboots == 0


def test_a_started_instance_with_the_tag_is_enrolled(world: World) -> None:
    """As a group's new member; here one that was stopped when it was tagged."""
    hosts = tagged(world, 1)
    (instance_id,) = hosts
    ec2 = world.account.client("ec2")
    ec2.stop_instances(InstanceIds=[instance_id])
    scheduler.sleep(300)
    ec2.start_instances(InstanceIds=[instance_id])
    scheduler.sleep(60)
    world.settle()
    assert statuses(world, hosts) == {"ready"}


def test_a_fleet_comes_in_rounds_that_grow(world: World) -> None:
    hosts = tagged(world, 12)

    world.ring()
    world.settle()

    assert statuses(world, hosts) == {"ready"}
    rounds = [row_of(world, each).round.rpartition("/")[2] for each in hosts]
    assert (rounds.count("1"), rounds.count("2")) == (5, 7)
    assert {len(world.volumes_of(each)) for each in hosts} == {1}
    assert all(provisionings(world, each) == 1 for each in hosts)
    # What is done, is done: the next hour finds nothing to do.
    an_hour_later(world)
    assert all(provisionings(world, each) == 1 for each in hosts)
    assert sum(host.reboots for host in hosts.values()) == 0


def test_waits_for_the_agent_of_a_new_instance_and_no_hour(world: World) -> None:
    hosts = tagged(world, 1)
    (instance_id,) = hosts
    world.account.computer(instance_id).in_ssm = False

    def answer() -> None:
        scheduler.sleep(200)
        world.account.computer(instance_id).in_ssm = True

    scheduler.spawn(answer)
    begun = scheduler.now
    world.ring()
    world.settle()

    assert statuses(world, hosts) == {"ready"}
    assert scheduler.now - begun < 1800
    assert provisionings(world, instance_id) == 1


def test_one_that_fails_says_why_and_is_tried_again_when_it_is_due(world: World) -> None:
    hosts = tagged(world, 2)
    failing, other = hosts
    hosts[failing].fails_with["configure_kdump"] = NO_MIRROR

    world.ring()
    world.settle()

    row = row_of(world, failing)
    assert (row.status, row.error, row.attempts) == ("failed", "PackageUnavailable", 1)
    assert "No mirror." in row.reasons[0].observed
    assert row.reasons[0].remedy
    assert row_of(world, other).status == "ready"
    assert provisionings(world, failing) == 1
    hosts[failing].fails_with.clear()
    an_hour_later(world)
    assert statuses(world, hosts) == {"ready"}
    assert len(world.volumes_of(failing)) == 1


def test_what_can_never_work_is_refused_once(world: World) -> None:
    world.let_enrol()
    _, instance_id = world.add_host(instance_type="t2.micro")

    for _ in range(3):
        an_hour_later(world)

    row = row_of(world, instance_id)
    assert (row.status, row.reasons[0].code) == ("unsupported", "UnsupportedHypervisor")
    assert provisionings(world, instance_id) == 1
    assert world.volumes_of(instance_id) == []


def test_a_changed_setting_reaches_whoever_is_ready_with_its_overrides_and_without_a_reboot(world: World) -> None:
    hosts = tagged(world, 1)
    (instance_id,) = hosts
    world.run("ProvisionDumpVolume", instanceId=instance_id, sizeGib=11, reboot=True)
    assert row_of(world, instance_id).overrides == {"sizeGib": 11}
    volumes = world.volumes_of(instance_id)
    os.environ["CONFIGURATION_ID"] = "a-changed-setting"

    an_hour_later(world)

    row = row_of(world, instance_id)
    assert (row.status, row.configuration_id) == ("ready", "a-changed-setting")
    assert provisionings(world, instance_id) == 1
    assert world.volumes_of(instance_id) == volumes
    assert hosts[instance_id].reboots == 0


def test_a_profile_is_picked_by_a_tag_and_left_by_its_removal(world: World) -> None:
    (instance_id,) = tagged(world, 1)
    an_hour_later(world)
    own = row_of(world, instance_id)

    owners_tag(world, instance_id, "database", key="hangdump:profile")
    world.settle()
    with_it = row_of(world, instance_id)
    owners_tag(world, instance_id, None, key="hangdump:profile")
    world.settle()

    assert (with_it.status, with_it.profile) == ("ready", "database")
    assert with_it.configuration_id not in ("", own.configuration_id)
    assert dump_levels(world, instance_id) == ["31", "17", "31"]
    after = row_of(world, instance_id)
    assert (after.status, after.profile, after.configuration_id) == ("ready", "", own.configuration_id)
    assert provisionings(world, instance_id) == 3


def test_a_profile_that_does_not_exist_is_named_and_changes_nothing(world: World) -> None:
    (instance_id,) = tagged(world, 1)
    an_hour_later(world)

    owners_tag(world, instance_id, "databse", key="hangdump:profile")
    world.settle()

    row = row_of(world, instance_id)
    assert (row.status, row.reasons[0].code) == ("drifted", "unknown-profile")
    assert "one of database" in row.reasons[0].remedy
    assert provisionings(world, instance_id) == 1
    assert "hangdump:ready" in world.tags_of(instance_id)


def test_a_failed_check_has_an_instance_repaired_within_minutes(world: World) -> None:
    hosts = tagged(world, 1)
    ((instance_id, host),) = hosts.items()
    world.ring()
    world.settle()
    host.is_ready = False
    host.before["configure_kdump"] = lambda: setattr(host, "is_ready", True)

    world.check_fleet()
    world.settle()

    assert statuses(world, hosts) == {"ready"}
    assert provisionings(world, instance_id) == 2
    assert "hangdump:ready" in world.tags_of(instance_id)
    # State Manager still says that the last check failed.
    an_hour_later(world)
    assert provisionings(world, instance_id) == 2


def test_what_a_check_finds_and_nothing_repairs_is_listed_and_no_longer_marked(world: World) -> None:
    hosts = tagged(world, 1)
    ((instance_id, host),) = hosts.items()
    world.ring()
    world.settle()
    host.is_ready = False

    world.check_fleet()
    world.settle()

    row = row_of(world, instance_id)
    assert (row.status, row.reasons[0].code) == ("not-ready", "crash-kernel-not-loaded")
    assert "hangdump:ready" not in world.tags_of(instance_id)
    an_hour_later(world)
    assert row_of(world, instance_id).attempts == 2


def test_checks_that_succeed_ring_nothing(world: World) -> None:
    tagged(world, 2)
    world.ring()
    world.settle()
    before = enrolments(world)

    world.check_fleet()
    world.settle()

    assert enrolments(world) == before


def test_an_agent_that_answers_after_hours_is_enrolled_at_its_first_check(world: World) -> None:
    hosts = tagged(world, 1)
    (instance_id,) = hosts
    world.account.computer(instance_id).in_ssm = False
    world.ring()
    world.settle()
    assert statuses(world, hosts) == {"waiting-for-agent"}

    world.account.computer(instance_id).in_ssm = True
    scheduler.sleep(60)
    world.check_fleet()
    world.settle()

    assert statuses(world, hosts) == {"ready"}


def test_an_enrolment_reboots_nothing_and_says_what_to_do(world: World) -> None:
    world.let_enrol()
    host, instance_id = world.add_host()

    an_hour_later(world)

    row = row_of(world, instance_id)
    assert (row.status, row.reasons[0].remedy) == ("reboot-required", "Reboot it when it suits you.")
    assert host.reboots == 0
    host.reboot()
    an_hour_later(world)
    assert row_of(world, instance_id).status == "ready"


def test_in_a_window_the_fleet_is_rebooted_in_waves_and_comes_back_ready(world: World) -> None:
    world.let_enrol()
    hosts = [world.add_host()[0] for _ in range(3)]
    an_hour_later(world)
    assert [host.reboots for host in hosts] == [0, 0, 0]
    os.environ |= {"REBOOT_WINDOWS": '["daily 00:00-24:00"]', "REBOOTS_PER_ZONE": "1"}

    an_hour_later(world)

    assert [host.reboots for host in hosts] == [1, 1, 1]
    assert {row.status.value for row in world.fleet().values()} == {"ready"}
    booted = sorted(host.booted_at for host in hosts)
    assert all(later - earlier > 60 for earlier, later in pairwise(booted))


def test_the_first_that_does_not_come_back_stops_the_reboots(world: World) -> None:
    world.let_enrol()
    hosts = [world.add_host()[0] for _ in range(3)]
    an_hour_later(world)
    for host in hosts:
        host.boot_seconds = 30 * 86400
    os.environ |= {"REBOOT_WINDOWS": '["daily 00:00-24:00"]', "REBOOTS_PER_ZONE": "1"}

    an_hour_later(world)
    an_hour_later(world)

    assert sum(host.reboots for host in hosts) == 1


def test_whoever_loses_the_tag_is_retired_and_keeps_the_volume(world: World) -> None:
    world.let_enrol()
    volumes = world.volumes_of(world.instance_id)

    owners_tag(world, world.instance_id, None)
    world.settle()

    row = row_of(world, world.instance_id)
    assert (row.status, row.reasons[0].code) == ("retired", "tag-removed")
    assert world.alarms_of(world.instance_id) == []
    assert "hangdump:ready" not in world.tags_of(world.instance_id)
    assert world.volumes_of(world.instance_id) == volumes


def test_whoever_is_tagged_again_is_armed_again(world: World) -> None:
    world.let_enrol()
    for value in (None, "true"):
        owners_tag(world, world.instance_id, value)
        world.settle()

    assert row_of(world, world.instance_id).status == "ready"
    assert world.alarms_of(world.instance_id) == [f"hangdump-{world.instance_id}"]


def test_another_value_of_the_tag_enrols_nobody_and_says_so(world: World) -> None:
    world.let_enrol()
    _, instance_id = world.add_host(tags={})

    owners_tag(world, instance_id, "True")
    world.settle()

    row = row_of(world, instance_id)
    assert (row.status, row.reasons[0].code) == ("not-ready", "wrong-tag-value")
    assert provisionings(world, instance_id) == 0


def test_an_instance_that_ends_while_it_is_enrolled_is_listed_as_retired(world: World) -> None:
    world.let_enrol()
    world.account.client("ec2").terminate_instances(InstanceIds=[world.instance_id])
    scheduler.sleep(300)

    an_hour_later(world)

    row = row_of(world, world.instance_id)
    assert (row.status, row.reasons[0].code) == ("retired", "instance-terminated")


def test_an_instance_that_ec2_has_forgotten_is_listed_as_retired(world: World) -> None:
    world.let_enrol()
    world.account.client("ec2").terminate_instances(InstanceIds=[world.instance_id])
    world.forget_instance(world.instance_id)

    an_hour_later(world)

    assert row_of(world, world.instance_id).status == "retired"


def test_an_owner_who_removes_the_tag_in_the_middle_is_heard(world: World) -> None:
    hosts = tagged(world, 1)
    ((instance_id, host),) = hosts.items()
    host.before["configure_kdump"] = lambda: owners_tag(world, instance_id, None)

    world.ring()
    world.settle()

    assert statuses(world, hosts) == {"retired"}
    assert "hangdump:ready" not in world.tags_of(instance_id)
    assert world.alarms_of(instance_id) == []


def test_a_fleet_over_its_limit_leaves_the_others_out_and_says_so(world: World) -> None:
    hosts = tagged(world, 3)
    # The world's own instance is one of them.
    os.environ["FLEET_LIMIT"] = "3"

    world.ring()
    world.settle()

    found = [row_of(world, each) for each in hosts]
    assert sorted(row.status.value for row in found) == ["not-ready", "ready", "ready"]
    assert [row.reasons[0].code for row in found if row.status == "not-ready"] == ["over-fleet-limit"]


def test_two_rings_at_once_make_one_enrolment_at_a_time(world: World) -> None:
    hosts = tagged(world, 3)

    for _ in range(3):
        world.ring()
    world.settle()

    assert statuses(world, hosts) == {"ready"}
    assert sorted(output["status"] for _, output in enrolments(world)) == ["done", "rung", "rung"]
    assert all(provisionings(world, each) == 1 for each in hosts)


@pytest.mark.parametrize("seconds", [30, 90, 200, 400])
def test_an_enrolment_may_be_killed_anywhere(world: World, seconds: float) -> None:
    hosts = tagged(world, 7)
    world.ring()
    scheduler.run(until=lambda: False, seconds=seconds)
    for each in [e for e in world.executions() if e.status == "RUNNING"]:
        world.account.client("stepfunctions").stop_execution(executionArn=each.exec_arn)

    for _ in range(3):
        an_hour_later(world)

    assert statuses(world, hosts) == {"ready"}
    assert {len(world.volumes_of(each)) for each in hosts} == {1}
    assert sum(host.reboots for host in hosts.values()) == 0


def test_halts_when_many_fail_alike_and_goes_on_when_the_cause_is_gone(world: World) -> None:
    hosts = tagged(world, 30)
    for host in hosts.values():
        host.fails_with["prepare_dump_volume"] = {"error": "DeviceHoldsData", "message": "It carries ext4."}

    world.ring()
    world.settle()

    (halted,) = [each for each in world.executions() if each.state_machine.name == "EnrolFleet"]
    assert (halted.status, halted.error) == ("FAILED", "EnrolmentHalted")
    assert "25 of 25 instances failed with DeviceHoldsData" in halted.cause
    for host in hosts.values():
        host.fails_with.clear()
    for _ in range(2):
        an_hour_later(world)
    assert statuses(world, hosts) == {"ready"}


def test_children_that_cannot_note_anything_start_nobody_twice_within_the_hour(world: World) -> None:
    hosts = tagged(world, 2)
    denied = Site("note_provisioning", "dynamodb:PutItem")
    world.injection.begin([Fault(denied, "refused", "AccessDeniedException", times=ALWAYS)])

    world.ring()
    world.settle()

    assert all(provisionings(world, each) == 1 for each in hosts)
    assert {row_of(world, each).error for each in hosts} == {"NoOutcome"}
    world.injection.begin([])
    an_hour_later(world)
    # Their tags say that they are ready; with which settings, nobody noted.
    assert statuses(world, hosts) == {"ready"}


def test_the_bell_is_free_after_a_failure(world: World) -> None:
    hosts = tagged(world, 1)
    denied = Site("plan_fleet", "ec2:DescribeInstances")
    world.injection.begin([Fault(denied, "refused", "UnauthorizedOperation", times=ALWAYS)])
    world.ring()
    world.settle()
    ((status, _),) = enrolments(world)
    assert status == "FAILED"

    world.injection.begin([])
    an_hour_later(world)

    assert statuses(world, hosts) == {"ready"}


def test_nothing_is_enrolled_by_itself_without_a_limit(world: World) -> None:
    host, instance_id = world.add_host(tags=ENROLLED)
    owners_tag(world, instance_id, "true")
    world.settle()
    assert enrolments(world) == []
    assert host.documents_run == []
