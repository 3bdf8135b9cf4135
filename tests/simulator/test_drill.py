"""DrillDump: the production chain brings the dump of a twin home, and nothing of the twin is left, however it ends."""

from collections.abc import Callable
from typing import Any

import pytest

from lab.aws.iam.policy import Policies, Request, decide
from lab.simulator.injection import ALWAYS, Fault, Site
from lab.simulator.modelled_documents import ModelledHost
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World
from lambdas.incident.drill_keys import proof_key
from lambdas.runtime.environment import Configuration
from lambdas.runtime.stack_parameter import KILL_SWITCH_PARAMETER, Output
from lambdas.runtime.tags import DRILL_TAG, ENROLLED_TAG, MAKER_TAG, OWNER_TAG, PROFILE_TAG, STACK_TAG

Arrange = Callable[[World], None]


def drill(world: World, **more: Any) -> dict[str, Any]:
    """A drill of the ready instance, to its end."""
    return world.run("DrillDump", instanceId=world.instance_id, **more)


def items(world: World, prefix: str) -> dict[str, dict[str, Any]]:
    """Of the incident table, by key; the values in DynamoDB's form."""
    found = world.account.client("dynamodb").scan(TableName=world.outputs[Output.INCIDENT_TABLE.value])["Items"]
    return {each["pk"]["S"]: each for each in found if each["pk"]["S"].startswith(prefix)}


def twin_of(world: World) -> str:
    """The id of the twin, also when it is terminated."""
    filters = [{"Name": "tag-key", "Values": [DRILL_TAG]}]
    (reservation,) = world.account.client("ec2").describe_instances(Filters=filters)["Reservations"]
    return str(reservation["Instances"][0]["InstanceId"])


def left(world: World) -> list[str]:
    """What executions made for the instance or its twins, and is still there; with alarms and rows of others."""
    ec2 = world.account.client("ec2")
    alive = [
        each["InstanceId"]
        for reservation in ec2.describe_instances(Filters=[{"Name": "tag-key", "Values": [MAKER_TAG]}])["Reservations"]
        for each in reservation["Instances"]
        if each["State"]["Name"] != "terminated"
    ]
    volumes = [
        volume["VolumeId"]
        for key in (MAKER_TAG, OWNER_TAG)
        for volume in ec2.describe_volumes(Filters=[{"Name": "tag-key", "Values": [key]}])["Volumes"]
        if {OWNER_TAG: world.instance_id}.items() - {t["Key"]: t["Value"] for t in volume["Tags"]}.items()
    ]
    alarms = [
        each["AlarmName"]
        for each in world.account.client("cloudwatch").describe_alarms(AlarmNamePrefix="hangdump-i-")["MetricAlarms"]
        if world.instance_id not in each["AlarmName"]
    ]
    rows = [each for each in world.fleet() if each != world.instance_id]
    return [*alive, *volumes, *alarms, *rows]


def test_the_dump_of_a_twin_is_proven_and_nothing_of_it_is_left(world: World) -> None:
    before = world.tags()

    ended = drill(world)

    assert ended["status"] == "SUCCEEDED", ended
    proof = ended["output"]
    assert (proof["status"], proof["verdict"], proof["hang"]) == ("proven", "captured", "real-time")
    assert left(world) == []
    (twin,) = world.collectors
    assert len(twin.nmis) == 1
    assert "hang_instance" in twin.documents_run
    # The instance that it imitates has noticed nothing.
    assert world.host.nmis == []
    assert world.host.documents_run == []
    assert world.tags() == before


def test_the_proof_names_image_kernel_and_settings_and_the_seconds_of_each_phase(world: World) -> None:
    proof = drill(world)["output"]

    key = proof_key(
        image_id=proof["imageId"],
        instance_type=proof["instanceType"],
        kernel="6.1.0-28-cloud-amd64",
        configuration_id=proof["configurationId"],
    )
    assert list(items(world, "proof#")) == [key]
    assert proof["imageId"] == world.account.state.backend("ec2").get_instance(world.instance_id).image_id
    assert proof["vmcoreBytes"] == len(world.collectors[0].content)
    (image,) = world.account.client("ec2").describe_images(ImageIds=[proof["imageId"]])["Images"]
    volume_gib = 8 + image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"]
    assert proof["volumeGibSeconds"] == volume_gib * proof["instanceSeconds"]
    assert proof["instanceSeconds"] >= sum(proof["seconds"].values())
    assert proof["seconds"]["launch"] > 0
    assert {"provision", "settle", "hangToDecision", "dump", "upload", "conclude"} <= proof["seconds"].keys()
    assert world.content(proof["reportKey"]).startswith(b"<!doctype html>")


@pytest.mark.parametrize("hang", ["real-time", "panic"])
def test_people_are_told_that_it_is_a_drill(world: World, hang: str) -> None:
    drill(world, hang=hang)
    subjects = [each.subject for each in world.told()]
    assert subjects
    assert {each.partition(":")[0] for each in subjects} == {"Hangdump drill"}


def test_a_drill_spends_no_budget_of_the_fleet(world: World) -> None:
    drill(world)
    assert items(world, "budget#") == {}

    assert world.hang()["output"]["verdict"] == "captured"


def test_a_twin_carries_no_more_than_its_drill_needs(world: World) -> None:
    drill(world)

    ec2 = world.account.state.backend("ec2")
    own, twin = ec2.get_instance(world.instance_id), ec2.get_instance(twin_of(world))
    assert (twin.image_id, twin.instance_type, twin.subnet_id) == (own.image_id, own.instance_type, own.subnet_id)
    assert twin.instance_initiated_shutdown_behavior == "terminate"
    assert twin.metadata_options.http_tokens == "required"
    assert twin.user_data.decode().startswith("#cloud-boothook\n")


def test_a_twin_has_the_profile_of_its_instance_and_proves_it_alone(world: World) -> None:
    tags = [{"Key": PROFILE_TAG, "Value": "database"}]
    world.account.client("ec2").create_tags(Resources=[world.instance_id], Tags=tags)

    proof = drill(world)["output"]

    assert world.tags_of(twin_of(world))[PROFILE_TAG] == "database"
    variables = world.account.state.backend("lambda").get_function("Hangdump-conclude_drill").environment_vars
    ids = Configuration.model_validate(variables)
    assert proof["configurationId"] == ids.id_of("database") != ids.configuration_id


def test_an_image_is_drilled_without_an_instance(world: World) -> None:
    own = world.account.state.backend("ec2").get_instance(world.instance_id)

    ended = world.run("DrillDump", imageId=own.image_id, instanceType="m5.large", subnetId=own.subnet_id)

    assert ended["status"] == "SUCCEEDED", ended
    assert ended["output"]["instanceType"] == "m5.large"
    assert left(world) == []


def test_a_panic_whose_dump_is_done_before_the_alarm_is_fetched_as_an_owner_would(world: World) -> None:
    ended = drill(world, hang="panic")

    assert ended["status"] == "SUCCEEDED", ended
    assert ended["output"]["verdict"] == "captured"
    assert world.collectors[0].nmis == []
    assert left(world) == []


def test_a_twin_that_does_not_come_back_is_rescued_and_proven(world: World) -> None:
    def power_off(host: ModelledHost) -> None:
        host.final_action = "poweroff"

    world.prepare_collector = power_off
    ended = drill(world)

    # Its power-off terminates it: the dump volume is all that is left, and the rescue reads that.
    assert ended["status"] == "SUCCEEDED", ended
    assert ended["output"]["verdict"] == "rescued"
    assert left(world) == []


def test_the_fleet_leaves_a_twin_alone(world: World) -> None:
    world.let_enrol()
    running = world.start("DrillDump", instanceId=world.instance_id)
    for _ in range(3):
        scheduler.run(until=lambda: False, seconds=200)
        world.ring()
    world.settle()

    assert (running.status, running.output["status"]) == ("SUCCEEDED", "proven")
    assert list(world.fleet()) == [world.instance_id]
    provisioned = [each for each in world.executions() if each.state_machine.name == "ProvisionDumpVolume"]
    assert [each.name for each in provisioned] == [running.name]


def may_hang(world: World, documents: list[Any], principal: str, tags: dict[str, str]) -> bool:
    """Whether a role may send hang_instance to an instance with these tags: to the document, and to the instance."""
    here = f"{world.account.region}:{world.account.account_id}"
    context = {f"ssm:resourceTag/{key}": value for key, value in tags.items()}
    context |= {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
    requests = (
        Request("ssm:SendCommand", f"arn:aws:ssm:{here}:document/Hangdump-hang_instance", {}, principal),
        Request("ssm:SendCommand", f"arn:aws:ec2:{here}:instance/i-0123456789abcdef0", context, principal),
    )
    return all(decide(each, Policies(identity=documents)) is None for each in requests)


def test_of_all_roles_the_drills_alone_may_hang_and_of_all_instances_a_twin_alone(world: World) -> None:
    drill(world)
    twin, own = world.tags_of(twin_of(world)), world.tags()
    made = {key: twin[key] for key in (STACK_TAG, MAKER_TAG)}
    instances = {
        "the twin": twin,
        "the instance that it imitates": own,
        "a collector or the twin of an analysis": made,
        "with the tag of a drill alone": {DRILL_TAG: "x", **own},
        "without a tag": {},
    }
    allowed = {
        (name, what)
        for name, principal, documents in world.permissions.roles()
        for what, tags in instances.items()
        if may_hang(world, documents, principal, tags)
    }
    assert allowed == {("DrillDump", "the twin")}


# ---- mishaps


def lack_capacity(world: World) -> None:
    world.account.refuse("RunInstances", "InsufficientInstanceCapacity")


def let_twins(change: Callable[[ModelledHost], None]) -> Arrange:
    def arrange(world: World) -> None:
        world.prepare_collector = change

    return arrange


def die_at_start(twin: ModelledHost) -> None:
    twin.is_broken = True


def never_answer(twin: ModelledHost) -> None:
    """No agent in the image, or no way from its subnet to Systems Manager: from outside they are alike."""
    twin.boot_seconds = 1e9


def hold_data(twin: ModelledHost) -> None:
    twin.fails_with["prepare_dump_volume"] = {"error": "DeviceHoldsData", "message": "It carries a signature."}


def load_no_crash_kernel(twin: ModelledHost) -> None:
    twin.is_ready = False


def refuse_to_hang(twin: ModelledHost) -> None:
    twin.fails_with["hang_instance"] = {"error": "HangRefused", "message": "It was launched 4000 s ago."}


def know_no_way_to_hang(twin: ModelledHost) -> None:
    twin.fails_with["hang_instance"] = {"error": "HangUnavailable", "message": "There is no lkdtm."}


@pytest.mark.parametrize(
    ("arrange", "error", "cause"),
    [
        pytest.param(lack_capacity, "DrillTwinNotLaunched", "No instance can be launched now", id="no capacity"),
        pytest.param(let_twins(die_at_start), "DrillTwinDied", "instead of running", id="the twin dies"),
        pytest.param(let_twins(never_answer), "DrillTwinSilent", "was not online within", id="no agent or no way"),
        pytest.param(let_twins(hold_data), "DeviceHoldsData", "carries a signature", id="the provisioning fails"),
        pytest.param(let_twins(load_no_crash_kernel), "KdumpNotReady", "crash-kernel-not-loaded", id="kdump not ready"),
        pytest.param(let_twins(refuse_to_hang), "HangRefused", "4000 s ago", id="the document refuses"),
        pytest.param(let_twins(know_no_way_to_hang), "HangUnavailable", "no lkdtm", id="no way to hang it"),
    ],
)
def test_a_drill_that_fails_has_a_name_and_leaves_nothing(
    world: World, arrange: Arrange, error: str, cause: str
) -> None:
    arrange(world)

    ended = drill(world)

    assert (ended["status"], ended["error"]) == ("FAILED", error)
    assert cause in ended["cause"]
    assert left(world) == []
    assert items(world, "proof#") == {}
    (told,) = [each for each in world.told() if "No dump of a twin" in each.message]
    assert f"failed: {error}" in told.subject


def test_a_twin_without_a_dump_proves_nothing_and_its_volume_stays(world: World) -> None:
    def write_nothing(twin: ModelledHost) -> None:
        twin.writes_dump = False

    world.prepare_collector = write_nothing
    ended = drill(world)

    assert (ended["status"], ended["error"]) == ("FAILED", "DrillUnproven")
    assert "panic-no-dump" in ended["cause"]
    (volume,) = left(world)
    assert volume in ended["cause"]
    assert items(world, "proof#") == {}


def test_a_twin_that_nobody_interrupts_ends_with_the_refusal(world: World) -> None:
    def switch_off() -> None:
        world.account.client("ssm").put_parameter(Name=KILL_SWITCH_PARAMETER, Value="off", Overwrite=True)

    def arrange(twin: ModelledHost) -> None:
        twin.before["hang_instance"] = switch_off

    world.prepare_collector = arrange
    ended = drill(world)

    assert (ended["status"], ended["error"]) == ("FAILED", "DrillUnheard")
    assert "kill-switch-off" in ended["cause"]
    assert world.collectors[0].nmis == []


def terminate_twin(world: World) -> None:
    world.account.client("ec2").terminate_instances(InstanceIds=[twin_of(world)])


def test_an_owner_who_terminates_the_twin_before_its_hang_ends_the_drill(world: World) -> None:
    def arrange(twin: ModelledHost) -> None:
        twin.before["prepare_dump_volume"] = lambda: terminate_twin(world)

    world.prepare_collector = arrange
    ended = drill(world)

    assert ended["status"] == "FAILED"
    assert ended["error"] not in ("", None)
    assert left(world) == []


def test_an_owner_who_terminates_the_hung_twin_ends_the_drill(world: World) -> None:
    def arrange(twin: ModelledHost) -> None:
        twin.before["hang_instance"] = lambda: scheduler.spawn(later)

    def later() -> None:
        scheduler.sleep(60)
        terminate_twin(world)

    world.prepare_collector = arrange
    ended = drill(world)

    assert (ended["status"], ended["error"]) == ("FAILED", "DrillTwinGone")
    assert [each for each in left(world) if not each.startswith("vol-")] == []


def test_of_two_drills_of_an_instance_at_once_one_is_refused(world: World) -> None:
    both = [world.start("DrillDump", instanceId=world.instance_id) for _ in range(2)]
    world.settle()

    assert sorted(each.status for each in both) == ["FAILED", "SUCCEEDED"]
    assert [each.error for each in both if each.error] == ["DrillInProgress"]
    assert len(world.collectors) == 1
    assert left(world) == []


def test_a_drill_takes_over_from_one_that_was_stopped_and_the_sweep_ends_its_twin(world: World) -> None:
    world.prepare_collector = never_answer
    first = world.start("DrillDump", instanceId=world.instance_id)
    scheduler.run(until=lambda: bool(world.collectors), seconds=3600)
    scheduler.run(until=lambda: False, seconds=60)
    world.account.client("stepfunctions").stop_execution(executionArn=first.exec_arn)
    world.settle()
    made = world.left_of_rescues(world.instance_id)
    world.prepare_collector = lambda _: None

    assert drill(world)["status"] == "SUCCEEDED"

    assert world.left_of_rescues(world.instance_id) == made
    world.make_older(made, hours=2)
    found = world.sweep()
    assert "drill-twin" in [each["kind"] for each in found if each["subject"] in made]
    scheduler.sleep(60)
    world.sweep()
    assert left(world) == []


def test_the_sweep_leaves_the_twin_of_a_running_drill_alone(world: World) -> None:
    world.prepare_collector = never_answer
    running = world.start("DrillDump", instanceId=world.instance_id)
    scheduler.run(until=lambda: bool(world.collectors), seconds=3600)
    scheduler.run(until=lambda: False, seconds=60)
    made = world.left_of_rescues(world.instance_id)
    world.make_older(made, hours=2)

    world.sweep()

    assert (running.status, world.left_of_rescues(world.instance_id)) == ("RUNNING", made)


def test_a_twin_is_not_drilled_itself(world: World) -> None:
    world.start("DrillDump", instanceId=world.instance_id)
    scheduler.run(until=lambda: bool(world.collectors), seconds=3600)

    ended = world.run("DrillDump", instanceId=twin_of(world))

    assert (ended["status"], ended["error"]) == ("FAILED", "DrillOfTwin")
    assert len(world.collectors) == 1


def test_the_next_drill_of_an_instance_waits_for_the_cooldown(world: World) -> None:
    assert drill(world)["status"] == "SUCCEEDED"

    again = drill(world)

    assert (again["status"], again["error"]) == ("FAILED", "DrillLimitReached")
    scheduler.sleep(3600)
    assert drill(world)["status"] == "SUCCEEDED"


def test_a_drill_that_hung_nothing_costs_no_budget_and_no_cooldown(world: World) -> None:
    world.account.refuse("RunInstances", "InsufficientInstanceCapacity")
    for _ in range(4):
        assert drill(world)["error"] == "DrillTwinNotLaunched"
    world.account.refuse("RunInstances", "")

    assert drill(world)["status"] == "SUCCEEDED"


def test_more_drills_than_the_budget_allows_are_refused(world: World) -> None:
    own = world.account.state.backend("ec2").get_instance(world.instance_id)
    given = {"imageId": own.image_id, "subnetId": own.subnet_id}
    started = [world.start("DrillDump", instanceType=f"m5.{size}", **given) for size in ("large", "xlarge", "2xlarge")]
    scheduler.run(until=lambda: len(world.collectors) == len(started), seconds=3600)

    refused = world.start("DrillDump", instanceType="m5.4xlarge", **given)
    scheduler.run(until=lambda: refused.status != "RUNNING", seconds=600)

    assert (refused.status, refused.error) == ("FAILED", "DrillLimitReached")
    assert "drillBudget" in refused.cause


@pytest.mark.parametrize(
    ("given", "error", "named"),
    [
        pytest.param({}, "InvalidInput", "imageId, instanceType, subnetId missing", id="nothing"),
        pytest.param({"instanceId": "web-1"}, "InvalidInput", "instanceId = 'web-1'", id="no id"),
        pytest.param({"instanceId": "i-0123456789abcdef0"}, "InstanceNotFound", "i-0123456789abcdef0", id="unknown"),
        pytest.param({"instanceId": "i-0123456789abcdef0", "hang": "slowly"}, "InvalidInput", "'slowly'", id="hang"),
        pytest.param(
            {"instanceId": "i-0123456789abcdef0", "subnetId": "subnet-0123456789abcdef0"},
            "InvalidInput",
            "leave out subnetId",
            id="both",
        ),
        pytest.param({"imageId": "ami-0123456789abcdef0"}, "InvalidInput", "instanceType, subnetId missing", id="part"),
        pytest.param(
            {"imageId": "ami-0123456789abcdef0", "instanceType": "m5.large", "subnetId": "subnet-0123456789abcdef0"},
            "DrillImageUnavailable",
            "imageId = ami-0123456789abcdef0",
            id="unknown image",
        ),
    ],
)
def test_bad_input_is_refused_before_anything_is_touched(
    world: World, given: dict[str, str], error: str, named: str
) -> None:
    ended = world.run("DrillDump", **given)

    assert (ended["status"], ended["error"]) == ("FAILED", error)
    assert named in ended["cause"]
    assert world.collectors == []
    assert items(world, "drill") == {}


def test_nothing_is_launched_while_interrupts_are_off(world: World) -> None:
    world.account.client("ssm").put_parameter(Name=KILL_SWITCH_PARAMETER, Value="off", Overwrite=True)

    ended = drill(world)

    assert (ended["status"], ended["error"]) == ("FAILED", "DrillsOff")
    assert world.collectors == []


def test_the_tag_of_a_drill_alone_gives_an_instance_no_interrupt(world: World) -> None:
    tags = [{"Key": DRILL_TAG, "Value": "forged"}]
    world.account.client("ec2").create_tags(Resources=[world.instance_id], Tags=tags)

    world.hang()

    (record,) = world.records().values()
    assert (record["verdict"], record["reason"]) == ("refused", "drill-spent")
    assert world.host.nmis == []


def test_a_twin_that_cannot_be_removed_is_told_of_and_left_to_the_sweep(world: World) -> None:
    site = Site("remove_rescue", "ec2:TerminateInstances")
    world.injection.begin([Fault(site, "refused", "RequestLimitExceeded", times=ALWAYS)])

    ended = drill(world)

    assert (ended["status"], ended["error"]) == ("FAILED", "DrillLeftovers")
    twin_id = twin_of(world)
    assert twin_id in ended["cause"]
    assert world.tags_of(twin_id)[ENROLLED_TAG] == "true"
    assert len(items(world, "proof#")) == 1
    world.make_older(world.left_of_rescues(world.instance_id), hours=2)
    world.sweep()
    scheduler.sleep(60)
    assert world.left_of_rescues(world.instance_id) == []
