"""RunInstances through the API: a machine of the caller's choice, with disks that are copies of snapshots."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance, Reservation

from lab.aws import status_checks
from lab.aws.ebs import require_complete
from lab.aws.ec2 import Power
from lab.aws.patches import Patches
from lab.aws.state import AccountState, Computer
from lab.machines.machine import Machine

_RESOLVE = "resolve:ssm:"
# moto's ClientToken of a launch without one.
_NO_TOKEN = "ABCDE"  # noqa: S105


@dataclass(frozen=True)
class Launch:
    """What a new instance is; `image_id` as resolved, `user_data` as the instance reads it."""

    instance_id: str
    image_id: str
    availability_zone: str
    instance_type: str
    launched_at: str
    user_data: str


# Gives a machine that is off and has no disks but its root.
Launcher = Callable[[Launch], Machine]


class Launches:
    """Real: a host is found, the image copied, user data run. moto: an instance that is a record, running at once.

    Here: with a `launcher`, pending until its machine is powered on with the disks of its mapping; it is known to
    Systems Manager when it has an instance profile. User data is not run; networks and security groups have no effect.
    """

    def __init__(self, state: AccountState, power: Power) -> None:
        self.launcher: Launcher | None = None
        self._state = state
        self._power = power
        self._by_token: dict[str, Reservation] = {}
        self._aside = threading.local()

    @contextmanager
    def by_hand(self) -> Iterator[None]:
        """Within it, in this thread, RunInstances is moto's: the caller brings the machine himself."""
        self._aside.is_on = True
        try:
            yield
        finally:
            self._aside.is_on = False

    def install(self, patches: Patches) -> None:
        def make(original: Any) -> Any:
            def run_instances(backend: EC2Backend, image_id: str, *rest: Any, **asked: Any) -> Reservation:
                # Not through the API, which always gives a token: a group that fills itself, without machines.
                is_of_a_group = "client_token" not in asked
                if self.launcher is None or is_of_a_group or getattr(self._aside, "is_on", False):
                    return original(backend, image_id, *rest, **asked)
                if code := self._state.refusals.get("RunInstances"):
                    raise EC2ClientError(code, "No instance can be launched now.")
                token = asked["client_token"]
                if token in self._by_token:
                    return self._by_token[token]
                for mapping in asked.get("block_device_mappings") or []:
                    require_complete(backend, mapping["Ebs"].get("SnapshotId"))
                resolved = self._resolve(image_id)
                reservation: Reservation = original(backend, resolved, *rest, **asked)
                if token != _NO_TOKEN:
                    self._by_token[token] = reservation
                for instance in reservation.instances:
                    self._begin(self.launcher, instance, is_managed=bool(asked.get("iam_instance_profile_arn")))
                return reservation

            return run_instances

        patches.replace(EC2Backend, "run_instances", make)

    def _resolve(self, image_id: str) -> str:
        """resolve:ssm:/aws/service/… is the image that a public parameter names."""
        if not image_id.startswith(_RESOLVE):
            return image_id
        name = image_id.removeprefix(_RESOLVE)
        parameter = self._state.backend("ssm").get_parameter(name)
        if parameter is None:
            raise EC2ClientError("InvalidParameterValue", f"The parameter '{name}' does not exist.")
        return str(parameter.value)

    def _begin(self, launcher: Launcher, instance: Instance, *, is_managed: bool) -> None:
        state = self._state
        root = instance.root_device_name
        if root not in instance.block_device_mapping:
            # What the image brings; moto leaves it out when other devices are asked for.
            volume_tags = [tags for _, device in instance.get_block_device_mapping for tags in _tags(state, device)]
            instance.setup_defaults()
            mapped = instance.block_device_mapping["/dev/sda1"]
            state.backend("ec2").get_volume(mapped.volume_id).add_tags(dict(volume_tags))
        launch = Launch(
            instance_id=instance.id,
            image_id=instance.image_id,
            availability_zone=instance.availability_zone or "",
            instance_type=instance.instance_type,
            launched_at=f"{instance.launch_time:%Y-%m-%dT%H:%M:%SZ}",
            user_data=instance.user_data.decode() if instance.user_data else "",
        )
        machine = launcher(launch)
        computer = Computer(instance.id, machine, in_ssm=is_managed, platform_name="Amazon Linux")
        for device, mapping in instance.get_block_device_mapping:
            volume = state.backend("ec2").get_volume(mapping.volume_id)
            if volume.snapshot_id:
                machine.attach_disk(volume.id, volume.size, device, snapshot_id=volume.snapshot_id)
                state.disk_owners[volume.id] = machine
        state.computers[instance.id] = computer
        self._power.start(instance, computer)
        state.spawn(f"watch {instance.id}", status_checks.watch, state, computer, self._power)


def _tags(state: AccountState, mapping: Any) -> list[tuple[str, str]]:
    return [(tag["key"], tag["value"]) for tag in state.backend("ec2").get_volume(mapping.volume_id).get_tags()]
