"""Inspects an instance, refuses one that can never dump, and plans its dump volume and the documents' parameters.

choose_volume.py chooses the volume; provision_input.py checks the input.
"""

from dataclasses import replace
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.fleet.table import read_instance_row, remember_overrides
from lambdas.instance.alarms import METRICS, read_rival_alarms
from lambdas.instance.facts import (
    Instance,
    InstanceType,
)
from lambdas.provision.check_instance import find_instance, inspect, require_survival
from lambdas.provision.choose_volume import (
    Choice,
    choose_volume,
    read_dump_volumes,
)
from lambdas.provision.overrides import NO_PROFILE, overrides_of, profile_of, with_overrides
from lambdas.provision.provision_input import (
    IN_GUEST_TRIGGERS,
    X86_SYSCTLS,
    Parameters,
    ProvisionInput,
    document_parameters,
    without_x86_sysctls,
)
from lambdas.provision.reboot import why_not_reboot
from lambdas.provision.volume_size import plan_size_gib
from lambdas.runtime.document_settings import DocumentSettings, InstanceSettings
from lambdas.runtime.environment import Configuration, FleetTable, Provisioning, RecordKeeping
from lambdas.runtime.errors import (
    InvalidInput,
)
from lambdas.runtime.execution import client_token
from lambdas.runtime.execution_input import read_input
from lambdas.runtime.observability import entry_point, logger
from lambdas.runtime.tags import OWNER_TAG, STACK, STACK_TAG

_LARGEST_VOLUME_GIB = 65_536


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"input", "executionId", "startTime"}`, gives the plan; raises a named error if it can never work.

    The volume's action is `measure` if a new volume is sized by what a dump would keep: run measure_dump, then call
    this again with its `expectedDumpBytes` too.
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
    sizing = given.dump_volume_sizing or profile.dump_volume_sizing or settings.dump_volume_sizing
    given_gib = given.size_gib or profile.size_gib

    def sized(of_profile: InstanceSettings) -> int:
        return (
            given.size_gib
            or of_profile.size_gib
            or plan_size_gib(
                instance_type.memory_mib,
                sizing=given.dump_volume_sizing or of_profile.dump_volume_sizing or settings.dump_volume_sizing,
                factor=given.dump_size_factor or of_profile.dump_size_factor or settings.dump_size_factor,
                minimum_gib=settings.minimum_dump_volume_gib,
                dump_level=for_documents.dump_level,
                expected_dump_bytes=event.get("expectedDumpBytes", 0),
            )
        )

    size_gib = sized(profile)
    if size_gib > _LARGEST_VOLUME_GIB:
        raise InvalidInput(
            f"{instance.instance_id} would need a dump volume of {size_gib} GiB; gp3 allows {_LARGEST_VOLUME_GIB}.",
            "Set sizeGib, or a smaller dumpSizeFactor.",
        )
    volumes = read_dump_volumes(instance.instance_id, table_name=RecordKeeping.read().table_name)
    # What a profile wants is for a new volume: one that was made before the profile was picked is large enough.
    choice = choose_volume(instance, volumes, size_gib=min(size_gib, sized(NO_PROFILE)))
    if choice.action == "create":
        choice = replace(choice, size_gib=size_gib)
    is_size_known = sizing == "memory" or given_gib is not None or "expectedDumpBytes" in event
    if choice.action == "create" and not is_size_known:
        choice = replace(choice, action="measure")
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
        "volume": _volume(choice, instance, execution_id=event["executionId"]),
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


def _volume(choice: Choice, instance: Instance, *, execution_id: str) -> dict[str, Any]:
    tags = {"Name": f"hangdump {instance.instance_id}", OWNER_TAG: instance.instance_id, STACK_TAG: STACK}
    planned: dict[str, Any] = {
        "action": choice.action,
        "sizeGib": choice.size_gib,
        "clientToken": client_token(execution_id),
        "device": choice.device,
        "tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        # For the record of a new volume: EC2 forgets both with the instance.
        "autoScalingGroup": instance.auto_scaling_group,
        "network": instance.network,
    }
    return planned | ({"volumeId": choice.volume_id} if choice.volume_id else {})
