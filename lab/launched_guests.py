"""Real guests for RunInstances: each boots from the guests' own image, as an instance from its AMI."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab.aws.account import LabAccount
from lab.aws.launches import Launch
from lab.guest import Identity, QemuGuest


@contextmanager
def launched_guests(
    account: LabAccount,
    work: Path,
    *,
    image: Path,
    volumes: Path,
    make: Callable[..., QemuGuest] = QemuGuest,
) -> Iterator[list[QemuGuest]]:
    """The guests so far, in the order of their launch, each in a folder of its own below `work`; all end with it.

    `volumes` is where the disks of the account's volumes and snapshots are.
    """
    guests: list[QemuGuest] = []
    with ExitStack() as stack:

        def launch(launch: Launch) -> QemuGuest:
            identity = Identity(
                instance_id=launch.instance_id,
                instance_type=launch.instance_type,
                availability_zone=launch.availability_zone,
                account_id=account.account_id,
                launched_at=launch.launched_at,
                user_data=launch.user_data,
            )
            guest = make(
                work / launch.instance_id,
                disk=image,
                s3_port=account.instance_port,
                volumes=volumes,
                identity=identity,
            )
            guests.append(stack.enter_context(guest))
            return guest

        account.launch_with(launch)
        yield guests
