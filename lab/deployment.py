"""Hangdump's own stack in the emulated account: the template that users deploy, with the lab's few settings."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from infra.synth import TEMPLATE, synthesize
from lab.aws.account import LabAccount
from lambdas.incident.object_keys import VMCORES
from lambdas.runtime.tags import MADE_FOR_TAG, OWNER_TAG, hang_alarm_name

# What differs from the defaults, and why.
LAB_SETTINGS: Mapping[str, Any] = {
    # The guest sees the account's S3 at this address (lab/guest/hardware.py).
    "uploadEndpointUrl": "http://10.0.2.100",
    # Nothing here is throttled or billed by the call: short waits keep the demo short. With shorter ones the bounds
    # below would need so many polls that the waits have to grow, to stay within the history of an execution.
    "pollSeconds": 6,
    "probeTimeoutSeconds": 15,
    # Machines here are hung within minutes of their launch.
    "bootGraceSeconds": 0,
    "dumpTimeoutSeconds": 800,
    "dumpLimitSeconds": 800,
    "uploadTimeoutSeconds": 300,
    "documentTimeoutSeconds": 900,
    # The story says when a guest is provisioned.
    "fleetLimit": 0,
}

# Variables of the functions that are set beyond what the settings allow. Checks here follow each other within seconds,
# and no zone fails whose instances would have to show first.
LAB_VARIABLES: Mapping[str, str] = {"IMPAIRED_SECONDS": "5"}


def synthesize_for_lab(outdir: Path, overrides: Mapping[str, Any] | None = None) -> Path:
    """The cloud assembly with the lab's settings; returns outdir."""
    return synthesize(outdir, {**LAB_SETTINGS, **(overrides or {})})


def deploy_hangdump(account: LabAccount, assembly: Callable[[], Path]) -> dict[str, str]:
    """Create the stack from the assembly; its outputs by name."""
    folder = assembly()
    template = json.loads((folder / TEMPLATE).read_text(encoding="utf-8"))
    for resource in template["Resources"].values():
        variables = resource.get("Properties", {}).get("Environment", {}).get("Variables", {})
        variables |= {name: value for name, value in LAB_VARIABLES.items() if name in variables}
    return account.deploy(template, folder)


def is_online(account: LabAccount, instance_id: str) -> bool:
    """Whether Systems Manager knows its agent, and hears from it."""
    filters: Any = [{"Key": "InstanceIds", "Values": [instance_id]}]
    known = account.client("ssm").describe_instance_information(Filters=filters)["InstanceInformationList"]
    return [each["PingStatus"] for each in known] == ["Online"]


@dataclass
class Deployment:
    """The deployed stack as a user with credentials sees it."""

    account: LabAccount
    outputs: dict[str, str]

    @property
    def bucket(self) -> str:
        return self.outputs["VmcoreBucketName"]

    def records(self) -> dict[str, dict[str, Any]]:
        """Every incident's record, by incident ID."""
        items = self.account.client("dynamodb").scan(TableName=self.outputs["IncidentTableName"])["Items"]
        read = TypeDeserializer().deserialize
        plain = [{name: read(value) for name, value in item.items()} for item in items]
        return {each["pk"].removeprefix("incident#"): each for each in plain if each["pk"].startswith("incident#")}

    def tags_of(self, instance_id: str) -> dict[str, str]:
        filters = [{"Name": "resource-id", "Values": [instance_id]}]
        tags = self.account.client("ec2").describe_tags(Filters=filters)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in tags}

    def alarms_of(self, instance_id: str) -> list[str]:
        """Its hang alarm's name, or nothing."""
        alarms = self.account.client("cloudwatch").describe_alarms(AlarmNames=[hang_alarm_name(instance_id)])
        return [alarm["AlarmName"] for alarm in alarms["MetricAlarms"]]

    def volumes_of(self, instance_id: str) -> list[dict[str, Any]]:
        """Its dump volumes."""
        filters = [{"Name": f"tag:{OWNER_TAG}", "Values": [instance_id]}]
        volumes: list[dict[str, Any]] = self.account.client("ec2").describe_volumes(Filters=filters)["Volumes"]
        return volumes

    def keys_of(self, instance_id: str) -> dict[str, str]:
        """Name below the incident -> key, of what the bucket keeps of an instance; no manifests."""
        listed = self.account.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=VMCORES).get("Contents", [])
        keys = [each["Key"] for each in listed if f"/{instance_id}/" in each["Key"]]
        # vmcores/<account>/<region>/<instance>/<incident>/<name>
        return {key.split("/", 5)[5]: key for key in keys}

    def objects_of(self, instance_id: str) -> dict[str, bytes]:
        """The same with the content of each."""
        return {name: self.content(key) for name, key in self.keys_of(instance_id).items()}

    def content(self, key: str) -> bytes:
        body: bytes = self.account.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def left_of_rescues(self, instance_id: str) -> list[str]:
        """IDs of the snapshots, volumes and living collectors that rescues of an instance made."""
        ec2 = self.account.client("ec2")
        mark = [{"Name": f"tag:{MADE_FOR_TAG}", "Values": [instance_id]}]
        collectors = [
            instance["InstanceId"]
            for reservation in ec2.describe_instances(Filters=mark)["Reservations"]
            for instance in reservation["Instances"]
            if instance["State"]["Name"] != "terminated"
        ]
        snapshots = [each["SnapshotId"] for each in ec2.describe_snapshots(Filters=mark)["Snapshots"]]
        return [*collectors, *snapshots, *(each["VolumeId"] for each in ec2.describe_volumes(Filters=mark)["Volumes"])]
