"""Plans the volume that is made from a parked one for an instance that crashed: which snapshot, where, which device.

choose_volume.py chooses; a second execution for the same crash takes the volume of the first.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.instance.facts import read_instance
from lambdas.provision.choose_volume import choose_crash_volume, read_dump_volumes
from lambdas.provision.parked import read_parked
from lambdas.runtime.environment import RecordKeeping
from lambdas.runtime.errors import InstanceNotFound, InvalidInput
from lambdas.runtime.execution import client_token
from lambdas.runtime.observability import entry_point, logger


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"incidentId","instanceId"}`, gives `{"availabilityZone","snapshotId","uuid","volume"}`.

    Raises InstanceNotFound, InvalidInput when it is no longer parked, NoFreeDeviceName.
    """
    instance_id, table_name = event["instanceId"], RecordKeeping.read().table_name
    instance = read_instance(instance_id)
    if instance is None:
        raise InstanceNotFound(f"EC2 knows no instance {instance_id}.", "Was it terminated?")
    parked = read_parked(table_name, instance_id)
    if parked is None:
        raise InvalidInput(f"The dump volume of {instance_id} is no longer parked.", "Was it provisioned meanwhile?")
    volumes = read_dump_volumes(instance_id, table_name=table_name)
    choice = choose_crash_volume(instance, volumes, snapshot_id=parked.snapshot_id, former_id=parked.volume_id)
    logger.info("Parked volume of %s, %s: %s", instance_id, parked.snapshot_id, choice)
    return {
        "availabilityZone": instance.availability_zone,
        "snapshotId": parked.snapshot_id,
        "uuid": parked.uuid,
        # The same volume for each execution that collects this crash.
        "volume": choice.as_json(instance, token=client_token(event["incidentId"])),
    }
