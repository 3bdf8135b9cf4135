"""Inspects an instance, refuses one that can never dump, and plans its dump volume and the documents' parameters.

choose_volume.py chooses the volume; provision_input.py checks the input.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.fleet.table import read_instance_row, remember_overrides
from lambdas.instance.alarms import METRICS, read_rival_alarms
from lambdas.instance.facts import InstanceType
from lambdas.provision.check_instance import find_instance, inspect, require_survival
from lambdas.provision.choose_volume import Choice, DumpVolume, choose_volume, read_dump_volumes
from lambdas.provision.overrides import overrides_of, profile_of, with_overrides
from lambdas.provision.parked import COMPLETED, Parked, read_parked, read_snapshot_state
from lambdas.provision.provision_input import (
    IN_GUEST_TRIGGERS,
    X86_SYSCTLS,
    Parameters,
    ProvisionInput,
    document_parameters,
    without_x86_sysctls,
)
from lambdas.provision.reboot import why_not_reboot
from lambdas.provision.volume_size import VolumeWish
from lambdas.runtime.document_settings import DocumentSettings
from lambdas.runtime.environment import Configuration, FleetTable, Provisioning, RecordKeeping
from lambdas.runtime.errors import InvalidInput
from lambdas.runtime.execution import client_token
from lambdas.runtime.execution_input import read_input
from lambdas.runtime.observability import entry_point, logger

_LARGEST_VOLUME_GIB = 65_536


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"input", "executionId", "startTime"}`, gives the plan; raises a named error if it can never work.

    The volume's action is `measure` if a new volume is sized by what a dump would keep: run measure_dump, then call
    this again with its `expectedDumpBytes` too. `parked`: none is needed; called with `isParkedLost` if the instance is
    not ready so.
    """
    settings = Provisioning.read()
    given = read_input(ProvisionInput, event["input"])
    instance = find_instance(given.instance_id)
    instance_type = inspect(instance)
    fleet_table = FleetTable.read().fleet_table_name
    row = read_instance_row(fleet_table, instance.instance_id)
    remembered = row.overrides if row else {}
    overrides = overrides_of(given, remembered)
    given = with_overrides(given, overrides)
    profile = profile_of(instance, settings.profiles)
    of_fleet = settings.document_settings.overridden_by(profile)
    own = of_fleet if instance_type.takes_interrupt else without_x86_sysctls(of_fleet)
    for_documents = own.overridden_by(given)
    wish = VolumeWish.of(given, profile, settings)

    def sized(wanted: VolumeWish) -> int:
        return wanted.gib(
            instance_type.memory_mib,
            minimum_gib=settings.minimum_dump_volume_gib,
            dump_level=for_documents.dump_level,
            expected_dump_bytes=event.get("expectedDumpBytes", 0),
        )

    size_gib = sized(wish)
    if size_gib > _LARGEST_VOLUME_GIB:
        raise InvalidInput(
            f"{instance.instance_id} would need a dump volume of {size_gib} GiB; gp3 allows {_LARGEST_VOLUME_GIB}.",
            "Set sizeGib, or a smaller dumpSizeFactor.",
        )
    table_name = RecordKeeping.read().table_name
    volumes = read_dump_volumes(instance.instance_id, table_name=table_name)
    # What a profile wants is for a new volume: one that was made before the profile was picked is large enough.
    least_gib = min(size_gib, sized(VolumeWish.of(given, settings)))
    choice = choose_volume(instance, volumes, size_gib=least_gib)
    parked = read_parked(table_name, instance.instance_id)
    state = read_snapshot_state(parked.snapshot_id) if parked else ""
    is_as_wanted = parked is not None and (
        parked.size_gib >= least_gib and parked.mount_point == for_documents.mount_point
    )
    is_parked_usable = is_as_wanted and state == COMPLETED
    if choice.action == "create":
        is_size_known = wish.dump_volume_sizing == "memory" or wish.size_gib or "expectedDumpBytes" in event
        choice = replace(choice, size_gib=size_gib, action="create" if is_size_known else "measure")
        # Measured is only what is to be made.
        is_parked_enough = is_parked_usable and not event.keys() & {"isParkedLost", "expectedDumpBytes"}
        if parked and is_parked_enough and wish.dump_volume == "parked":
            choice = replace(choice, size_gib=parked.size_gib, action="parked")
    is_reboot_allowed = settings.allow_reboot if given.reboot is None else given.reboot
    why_not = why_not_reboot(instance) if is_reboot_allowed else ""
    reboot = is_reboot_allowed and not why_not
    parameters = document_parameters(for_documents, reboot=reboot, takes_interrupt=instance_type.takes_interrupt)
    require_survival(instance, final_action=parameters.configure["finalAction"][0])
    if overrides != remembered:
        # Only of a plan that is possible: EnrolFleet uses them again and again.
        remember_overrides(fleet_table, instance.instance_id, overrides)
    logger.info("Plan for %s: %s", instance.instance_id, choice)
    return {
        "instanceId": instance.instance_id,
        "instanceType": instance.instance_type,
        "availabilityZone": instance.availability_zone,
        "volume": choice.as_json(instance, token=client_token(event["executionId"])),
        "park": wish.dump_volume == "parked",
        "parked": _parked(parked, state, choice, volumes, is_usable=is_parked_usable),
        "measureParameters": parameters.measure,
        "prepareParameters": parameters.prepare,
        "configureParameters": parameters.configure,
        "checkParameters": parameters.check,
        "reboot": reboot,
        "whyNotReboot": why_not,
        "diagnosticInterrupt": _diagnostic_interrupt(instance_type, parameters.configure, of_fleet),
        "conflictingAlarms": _conflicting_alarms(given),
        "configurationId": Configuration.read().id_of(instance.profile),
    }


def _conflicting_alarms(given: ProvisionInput) -> list[str]:
    """The owner's alarms whose action would destroy a hang's evidence, as "name: reboot"."""
    if given.conflicting_alarms is not None:
        return given.conflicting_alarms
    return sorted({str(rival) for metric in METRICS for rival in read_rival_alarms(given.instance_id, metric)})


def _diagnostic_interrupt(
    instance_type: InstanceType, configured: Parameters, of_fleet: DocumentSettings
) -> dict[str, str]:
    """Whether EC2 can interrupt this instance, and what happens instead."""
    if instance_type.takes_interrupt:
        return {"status": "supported", "detail": "EC2 can interrupt the instance when it hangs."}
    triggers = ", ".join(name for name in IN_GUEST_TRIGGERS if configured[name] == ["1"]) or "none"
    wanted = of_fleet.panic_sysctls.model_dump()
    left_out = ", ".join(name for name in X86_SYSCTLS if wanted[name] and configured[name] == ["0"])
    return {
        "status": "unsupported",
        "detail": f"EC2 sends no diagnostic interrupt to {', '.join(instance_type.architectures)}. These sysctls make"
        f" the kernel panic instead: {triggers}. After such a dump, start CollectVmcore with its instanceId."
        + (f" Of the settings, these are left out, which only x86_64 has: {left_out}." if left_out else ""),
    }


def _parked(
    parked: Parked | None, state: str, choice: Choice, volumes: Sequence[DumpVolume], *, is_usable: bool
) -> dict[str, Any]:
    """Whether it was parked before, as which snapshot, and whether it needs another one now.

    Not if the volume was made from that very snapshot: what a dump has written since would only make a larger one.
    """
    snapshot_id = parked.snapshot_id if parked and state else ""
    made_from = next((each.snapshot_id for each in volumes if each.volume_id == choice.volume_id), "")
    is_kept = choice.action == "parked" or (is_usable and made_from == snapshot_id)
    return {
        "isRecorded": parked is not None,
        "snapshotId": snapshot_id,
        "uuid": parked.uuid if parked else "",
        "isSnapshotNeeded": not is_kept,
    }
