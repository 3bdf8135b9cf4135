"""An upgrade while executions run: each ends with the definition that it began with, against the new functions."""

import json
import lzma
from pathlib import Path
from typing import Any

import pytest
from moto.cloudformation.parsing import clean_json

from infra.synth import TEMPLATE
from lab.aws import executions
from lab.aws.cloudformation import RolledBack
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World
from tests.infra.test_upgrade import RELEASE
from tests.simulator.test_rescue import cannot_be_started

SWITCH = "/hangdump/interrupts"
NIGHTLY = pytest.mark.nightly


def last_release() -> dict[str, Any]:
    template: dict[str, Any] = json.loads(lzma.decompress(RELEASE.read_bytes()))
    return template


def properties_of(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each["Properties"] for each in template["Resources"].values() if each["Type"] == kind]


def definitions_of_the_last_release(world: World) -> dict[str, str]:
    """By name of the state machine, with the ARNs of this account's functions."""
    (stack,) = world.account.state.backend("cloudformation").stacks.values()
    machines = properties_of(last_release(), "AWS::StepFunctions::StateMachine")
    return {each["StateMachineName"]: clean_json(each["DefinitionString"], stack.resource_map) for each in machines}


def define(world: World, definitions: dict[str, str]) -> dict[str, str]:
    """What they were before."""
    before: dict[str, str] = {}
    for machine in executions._backend(world.account.state).state_machines:
        before[machine.name] = machine.definition
        # What the last release did not have stays as it is.
        world.account.client("stepfunctions").update_state_machine(
            stateMachineArn=machine.arn, definition=definitions.get(machine.name, machine.definition)
        )
    return before


def upgrade_after(world: World, seconds: float, machine: str, **execution_input: Any) -> dict[str, Any]:
    """Begins with the last release's definition; how it ended when the upgrade came after so long."""
    new = define(world, definitions_of_the_last_release(world))
    execution = world.start(machine, **execution_input)
    scheduler.sleep(seconds)
    define(world, new)
    world.settle()
    return {name: getattr(execution, name) for name in ("status", "output", "error", "cause")}


@pytest.mark.parametrize("seconds", [1, pytest.param(60, marks=NIGHTLY), pytest.param(300, marks=NIGHTLY)])
def test_a_collection_ends_with_its_dump(world: World, seconds: float) -> None:
    world.host.hang()
    ended = upgrade_after(world, seconds, "CollectVmcore", instanceId=world.instance_id, interrupt=True)
    assert (ended["output"] or {}).get("verdict") == "captured", ended


def test_a_collection_of_a_dump_that_lies_there_ends_with_it(world: World) -> None:
    world.host.panic()
    scheduler.sleep(600)
    ended = upgrade_after(world, 5, "CollectVmcore", instanceId=world.instance_id)
    assert (ended["output"] or {}).get("verdict") == "captured", ended


def test_a_provisioning_ends_ready(world: World) -> None:
    ended = upgrade_after(world, 5, "ProvisionDumpVolume", instanceId=world.instance_id)
    assert (ended["output"] or {}).get("status") == "ready", ended


def test_a_rescue_ends_with_the_dump(world: World) -> None:
    cannot_be_started(world)
    world.host.hang()
    ended = upgrade_after(world, 60, "CollectVmcore", instanceId=world.instance_id, interrupt=True)
    assert (ended["output"] or {}).get("verdict") == "rescued", ended


def template_of(assembly: Path) -> dict[str, Any]:
    template: dict[str, Any] = json.loads((assembly / TEMPLATE).read_text(encoding="utf-8"))
    return template


def values(world: World) -> tuple[dict[str, str], dict[str, dict[str, str]], set[str]]:
    """Definitions, environments and rules, by name."""
    state = world.account.state
    machines = executions._backend(state).state_machines
    functions = state.backend("lambda").list_functions()
    return (
        {each.name: each.definition for each in machines},
        {each.function_name: dict(each.environment_vars) for each in functions},
        set(state.backend("events").describe_event_bus("default").rules),
    )


def test_an_upgrade_that_fails_half_way_is_taken_back_and_nothing_is_lost(world: World, assembly: Path) -> None:
    before, template = values(world), template_of(assembly)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["Environment"]["Variables"]["NEW"] = "1"
    template["Resources"]["Refused"] = {"Type": "AWS::EC2::NoSuchThing", "Properties": {}}
    world.host.hang()
    execution = world.start("CollectVmcore", instanceId=world.instance_id, interrupt=True)
    scheduler.sleep(60)

    with pytest.raises(RolledBack):
        world.account.deploy(template, assembly)

    world.settle()
    assert execution.output["verdict"] == "captured"
    assert values(world) == before


def test_the_kill_switch_keeps_its_value(world: World, assembly: Path) -> None:
    ssm, template = world.account.client("ssm"), template_of(assembly)
    ssm.put_parameter(Name=SWITCH, Value="off", Overwrite=True)
    for resource in template["Resources"].values():
        # A managed policy would be replaced.
        kept = ("AWS::SSM::Parameter", "AWS::IAM::ManagedPolicy")
        if "Description" in resource.get("Properties", {}) and resource["Type"] not in kept:
            resource["Properties"]["Description"] = "Another one"

    world.account.deploy(template, assembly)

    assert ssm.get_parameter(Name=SWITCH)["Parameter"]["Value"] == "off"


def what_is_there(world: World) -> dict[str, int]:
    """How many of each, without the instance and the CDK's own bucket."""
    client, own = world.account.client, [{"Key": "Owner", "Values": ["Self"]}]
    keys = [client("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in client("kms").list_keys()["Keys"]]
    switch = [{"Key": "Name", "Values": [SWITCH]}]
    found: dict[str, list[Any]] = {
        "buckets": [each for each in client("s3").list_buckets()["Buckets"] if not each["Name"].startswith("cdk-")],
        "tables": client("dynamodb").list_tables()["TableNames"],
        "keys": [each for each in keys if each["Description"].startswith("Encrypts") and each["Enabled"]],
        "volumes": world.volumes_of(world.instance_id),
        "alarms": client("cloudwatch").describe_alarms()["MetricAlarms"],
        "functions": client("lambda").list_functions()["Functions"],
        "machines": client("stepfunctions").list_state_machines()["stateMachines"],
        "documents": client("ssm").list_documents(Filters=own)["DocumentIdentifiers"],
        "rules": client("events").list_rules()["Rules"],
        "topics": client("sns").list_topics()["Topics"],
        "switch": client("ssm").describe_parameters(ParameterFilters=switch)["Parameters"],
        "roles": [each for each in client("iam").list_roles()["Roles"] if each["RoleName"].startswith("Hangdump")],
    }
    return {kind: len(each) for kind, each in found.items()}


def test_a_removal_leaves_evidence_and_what_belongs_to_instances_and_a_new_stack_begins_beside_it(
    world: World, assembly: Path
) -> None:
    """docs/deploy.md lists what is left."""
    world.hang()
    (key,) = world.vmcores()
    bucket, s3, before = world.bucket, world.account.client("s3"), what_is_there(world)

    world.account.destroy()

    left = {kind: count for kind, count in what_is_there(world).items() if count}
    assert left == {"buckets": 2, "tables": 2, "keys": 1, "volumes": 1, "alarms": 1}
    assert world.alarms_of(world.instance_id)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == world.host.content

    world.outputs = world.account.deploy(template_of(assembly), assembly)

    after = what_is_there(world)
    assert {kind for kind in before if after[kind] != before[kind]} == {"buckets", "tables", "keys"}
    assert world.bucket != bucket
    world.host.hang()
    ended = world.run("CollectVmcore", instanceId=world.instance_id, interrupt=True)
    assert ended["output"]["verdict"] == "captured", ended
