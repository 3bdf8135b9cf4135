"""An account with Hangdump in it, armed guests as its instances, and the second guests that rescues launch.

For tests of what goes wrong after an interrupt. Owns no fault and no expectation.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lab.aws.account import LabAccount
from lab.deployment import Deployment, deploy_hangdump, synthesize_for_lab
from lab.guest import QemuGuest, wait_until
from lab.guest.saved_state import restored
from lab.launched_guests import launched_guests
from lab.machines.machine import Completed
from lambdas.incident.record import State
from tests.guest.conftest import DUMP_VOLUME

# Bounds for a test, not measurements.
EXECUTION_SECONDS = 600
SETTINGS = {
    "pollSeconds": 1,
    # A guest is back 60 s after its interrupt on an idle machine.
    "dumpTimeoutSeconds": 400,
    "fleetBudget": 1000,
    "zoneBudget": 1000,
    "groupBudget": 1000,
}
_UNMOUNT = "#!/bin/bash\nset -e\numount /var/crash\nsync\n"
# The disk is plugged a moment before its file system is known.
_MOUNT = "#!/bin/bash\nfor _ in {1..60}; do mount /var/crash && exit 0; sleep 0.5; done; exit 1\n"


class Collector(QemuGuest):
    """Remembers what the file was that it sent, and how the copy was mounted."""

    digest = ""
    mount = ""

    def run(self, script: str, *, environment: Mapping[str, str], timeout_seconds: float) -> Completed:
        if environment.get("SSM_action") == "upload" and not self.digest:
            look = '#!/bin/bash\nsha256sum "$SSM_vmcorePath"; findmnt -no OPTIONS "$SSM_mountPoint"\n'
            seen = super().run(look, environment=environment, timeout_seconds=60).stdout.split()
            self.digest, self.mount = seen[0], seen[2]
        return super().run(script, environment=environment, timeout_seconds=timeout_seconds)


@dataclass(frozen=True)
class Victim:
    """An instance that is ready for a dump, and its dump volume."""

    account: LabAccount
    guest: QemuGuest
    instance_id: str
    volume_id: str
    # Where its console was before anything happened.
    console_length: int

    @property
    def disk(self) -> Path:
        """The dump volume as a file of this computer."""
        return self.guest.volumes / f"{self.volume_id}.qcow2"

    def news(self) -> str:
        """What the console said since."""
        return self.guest.console()[self.console_length :]

    def run(self, script: str) -> str:
        """What a script says that must succeed."""
        done = self.guest.run(f"#!/bin/bash\nset -euo pipefail\n{script}\n", environment={}, timeout_seconds=120)
        assert done.exit_code == 0, done
        return done.stdout.strip()


@dataclass
class Region(Deployment):
    """The stack with real guests, and the collectors launched so far."""

    work: Path
    # The saved state that victims are restored from.
    armed: Path | None
    # What was launched, and the victims.
    guests: list[QemuGuest]

    @property
    def volumes(self) -> Path:
        """Where the disks of all its volumes and snapshots are."""
        return self.work / "volumes"

    @property
    def collectors(self) -> list[Collector]:
        """In the order of their launch; those of earlier tests too."""
        return [each for each in self.guests if isinstance(each, Collector)]

    @contextmanager
    def victim(self, *scripts: str) -> Iterator[Victim]:
        """A fresh armed guest on which the scripts were run; its power is cut at the end."""
        assert self.armed, "this region has no armed guest"
        number = len(self.guests)
        guest = restored(
            self.armed, self.work / f"victim-{number}", s3_port=self.account.instance_port, volumes=self.volumes
        )
        with guest:
            self.guests.append(guest)
            # The kernel of a saved state runs since then, by the clock that it prints on its console.
            booted_at = datetime.now(UTC) - timedelta(seconds=_uptime_seconds(guest))
            instance_id = self.account.add_instance(guest, tags={"hangdump:enrolled": "true"}, launched_at=booted_at)
            volume_id = self._attach_dump_volume(guest, instance_id)
            # After the launch, as readiness that is older than it counts for nothing.
            ready = {"Key": "hangdump:ready", "Value": datetime.now(UTC).isoformat()}
            self.account.client("ec2").create_tags(Resources=[instance_id], Tags=[ready])
            victim = Victim(self.account, guest, instance_id, volume_id, len(guest.console()))
            for script in scripts:
                victim.run(script)
            yield victim

    def _attach_dump_volume(self, guest: QemuGuest, instance_id: str) -> str:
        """The disk of the saved state becomes a volume of the account."""
        assert guest.run(_UNMOUNT, environment={}, timeout_seconds=60).exit_code == 0
        guest.detach_disk(DUMP_VOLUME)
        ec2 = self.account.client("ec2")
        tags = [{"Key": "hangdump:instance-id", "Value": instance_id}, {"Key": "hangdump:stack", "Value": "Hangdump"}]
        volume_id: str = ec2.create_volume(
            AvailabilityZone=f"{self.account.region}a",
            Size=4,
            VolumeType="gp3",
            Encrypted=True,
            TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
        )["VolumeId"]
        item = {"pk": {"S": f"dump-volume#{volume_id}"}, "instanceId": {"S": instance_id}}
        self.account.client("dynamodb").put_item(TableName=self.outputs["IncidentTableName"], Item=item)
        (self.volumes / f"{DUMP_VOLUME}.qcow2").rename(self.volumes / f"{volume_id}.qcow2")
        wait_until(
            lambda: ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["State"] == "available",
            what="the volume is available",
            timeout_seconds=30,
        )
        ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdf")
        wait_until(lambda: volume_id in guest.attached_volumes, what="the volume is attached", timeout_seconds=30)
        done = guest.run(_MOUNT, environment={}, timeout_seconds=60)
        assert done.exit_code == 0, done
        return volume_id

    def interrupt_and_collect(self, victim: Victim) -> str:
        """Starts CollectVmcore with an interrupt; its ARN."""
        return self.account.start_execution("CollectVmcore", {"instanceId": victim.instance_id, "interrupt": True})

    def wait_for(self, execution: str) -> dict[str, Any]:
        """The end of an execution."""
        return self.account.wait_for_execution(execution, timeout_seconds=EXECUTION_SECONDS)

    def end_of(self, execution: str) -> dict[str, Any] | None:
        """None while it runs."""
        described: dict[str, Any] = self.account.client("stepfunctions").describe_execution(executionArn=execution)
        return None if described["status"] == "RUNNING" else described

    def incident_of(self, victim: Victim) -> dict[str, Any]:
        """The record of its only incident. While it is open a further alarm is recorded as refused."""
        own = [each for each in self.records().values() if each["instanceId"] == victim.instance_id]
        (record,) = [each for each in own if each["state"] != State.REFUSED]
        return record

    def let_the_wait_be_over(self, victim: Victim) -> None:
        """Nobody waits an hour in a test: from now on the dump is late, whatever the console said last."""
        now = {"N": str(int(time.time()) - 1)}
        self.account.client("dynamodb").update_item(
            TableName=self.outputs["IncidentTableName"],
            Key={"pk": {"S": self.incident_of(victim)["pk"]}},
            UpdateExpression="SET dumpDeadlineEpoch = :now, dumpLimitEpoch = :now",
            ExpressionAttributeValues={":now": now},
        )

    def download(self, key: str, path: Path) -> Path:
        self.account.client("s3").download_file(self.bucket, key, str(path))
        return path

    def interrupts_sent_to(self, victim: Victim) -> int:
        """By us; an NMI of somebody else does not go through EC2."""
        return len(self.account.events.matching("ec2", f"{victim.instance_id} diagnostic interrupt"))


@contextmanager
def hangdump_region(
    work: Path,
    *,
    image: Path,
    armed: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    make: Callable[..., QemuGuest] = Collector,
) -> Iterator[Region]:
    """The stack in an account of its own; what RunInstances launches boots from the image, as a cloud's own."""
    volumes = work / "volumes"
    with LabAccount() as account, launched_guests(account, work, image=image, volumes=volumes, make=make) as guests:
        overrides = SETTINGS | dict(settings or {})
        outputs = deploy_hangdump(account, lambda: synthesize_for_lab(work / "cdk.out", overrides))
        yield Region(account, outputs, work, armed, guests)


def _uptime_seconds(guest: QemuGuest) -> float:
    done = guest.run("#!/bin/sh\ncat /proc/uptime\n", environment={}, timeout_seconds=60)
    return float(done.stdout.split()[0])


def digest_of(path: Path) -> str:
    """SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
