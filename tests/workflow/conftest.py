"""One emulated account with the synthesized stack for all of these tests; a fresh host and instance for each."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.aws.account import LabAccount
from lab.aws.launches import Launch
from lab.deployment import deploy_hangdump, synthesize_for_lab
from lab.guest.deadline import wait_until
from lab.machines.scripted_machine import ScriptedMachine
from tests.workflow.simulated_host import SimulatedHost, put_curl_that_reaches

# Bounds for a test, not measurements.
EXECUTION_SECONDS = 240

SETTINGS = {
    "pollSeconds": 1,
    "probeTimeoutSeconds": 10,
    "fleetBudget": 1000,
    "zoneBudget": 1000,
    "groupBudget": 1000,
    "dumpTimeoutSeconds": 60,
    "dumpLimitSeconds": 120,
    "dumpStallSeconds": 60,
    "collectorTimeoutSeconds": 15,
    "standbyTimeoutSeconds": 10,
}


class Stack:
    """The deployed stack, as a user with credentials sees it."""

    def __init__(self, account: LabAccount, outputs: dict[str, str]) -> None:
        self.account = account
        self.outputs = outputs
        self.collectors: list[SimulatedHost] = []
        # Called with each collector before it is switched on.
        self.prepare_collector: Callable[[SimulatedHost], None] = lambda _: None
        account.launch_with(self._launch)

    def _launch(self, _launch: Launch) -> ScriptedMachine:
        collector = SimulatedHost.launched()
        self.prepare_collector(collector)
        self.collectors.append(collector)
        return collector.machine

    def made_by_rescues(self, instance_id: str) -> list[str]:
        """Ids of collectors, snapshots and volumes of rescues of an instance that are there."""
        ec2 = self.account.client("ec2")
        mark = [{"Name": "tag:hangdump:rescue-of", "Values": [instance_id]}]
        found = [
            instance["InstanceId"]
            for reservation in ec2.describe_instances(Filters=mark)["Reservations"]
            for instance in reservation["Instances"]
            if instance["State"]["Name"] != "terminated"
        ]
        found += [each["SnapshotId"] for each in ec2.describe_snapshots(Filters=mark)["Snapshots"]]
        return found + [each["VolumeId"] for each in ec2.describe_volumes(Filters=mark)["Volumes"]]

    def run(self, state_machine: str, **execution_input: Any) -> dict[str, Any]:
        """Start an execution and wait for its end; DescribeExecution's answer."""
        execution = self.account.start_execution(state_machine, execution_input)
        return self.account.wait_for_execution(execution, timeout_seconds=EXECUTION_SECONDS)

    def volumes_of(self, instance_id: str) -> list[dict[str, Any]]:
        filters = [{"Name": "tag:hangdump:instance-id", "Values": [instance_id]}]
        volumes: list[dict[str, Any]] = self.account.client("ec2").describe_volumes(Filters=filters)["Volumes"]
        return volumes

    def wait_until_online(self, instance_id: str) -> None:
        """Until Systems Manager has heard of it; raises TimeoutError."""
        names = [{"Key": "InstanceIds", "Values": [instance_id]}]
        ssm = self.account.client("ssm")

        def is_online() -> bool:
            listed = ssm.describe_instance_information(Filters=names)["InstanceInformationList"]
            return [each["PingStatus"] for each in listed] == ["Online"]

        wait_until(is_online, what=f"{instance_id} is Online", timeout_seconds=60)

    def tags_of(self, instance_id: str) -> dict[str, str]:
        filters = [{"Name": "resource-id", "Values": [instance_id]}]
        tags = self.account.client("ec2").describe_tags(Filters=filters)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in tags}

    def alarms_of(self, instance_id: str) -> list[str]:
        alarms = self.account.client("cloudwatch").describe_alarms(AlarmNames=[f"hangdump-{instance_id}"])
        return [alarm["AlarmName"] for alarm in alarms["MetricAlarms"]]

    def objects_of(self, instance_id: str) -> dict[str, bytes]:
        """Name below the incident → content of what is in the bucket for an instance, manifests for it left out."""
        s3, bucket = self.account.client("s3"), self.outputs["VmcoreBucketName"]
        listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        keys = [entry["Key"] for entry in listed if f"/{instance_id}/" in entry["Key"]]
        # vmcores/<account>/<region>/<instance>/<incident>/<name>
        keys = [key for key in keys if key.startswith("vmcores/")]
        return {key.split("/", 5)[5]: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The synthesized stack in an emulated account whose slow periods are shrunk to a fiftieth."""
    bin_directory = tmp_path_factory.mktemp("bin")
    with pytest.MonkeyPatch.context() as patch, LabAccount(time_scale=0.02) as account:
        put_curl_that_reaches(account.instance_port, bin_directory)
        patch.setenv("PATH", f"{bin_directory}:{os.environ['PATH']}")
        outputs = deploy_hangdump(account, lambda: synthesize_for_lab(tmp_path_factory.mktemp("lab.out"), SETTINGS))
        yield Stack(account, outputs)


@pytest.fixture
def host() -> SimulatedHost:
    """A running Debian host without kdump."""
    return SimulatedHost()


AddInstance = Callable[..., str]


@pytest.fixture
def add_instance(stack: Stack, host: SimulatedHost) -> AddInstance:
    """Registers `host` as an instance; enrolled, Nitro, x86_64 and in SSM unless said otherwise."""

    def add(*, is_enrolled: bool = True, **properties: Any) -> str:
        tags = {"hangdump:enrolled": "true"} if is_enrolled else {}
        instance_id = stack.account.add_instance(host.machine, tags=tags, **properties)
        stack.account.check_status_now(instance_id)
        return instance_id

    return add


@pytest.fixture
def instance_id(add_instance: AddInstance) -> str:
    """An enrolled instance, not provisioned."""
    return add_instance()


@pytest.fixture
def ready_instance_id(stack: Stack, host: SimulatedHost, instance_id: str) -> str:
    """An instance that ProvisionDumpVolume made ready."""
    host.is_reserved = True
    ended = stack.run("ProvisionDumpVolume", instanceId=instance_id)
    assert ended["status"] == "SUCCEEDED", ended
    return instance_id
