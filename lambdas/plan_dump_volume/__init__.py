"""Looks at an instance, refuses what can never dump, and says which volume and which parameters to dump with.

Owns the inspection. The volume is chosen in choose_volume.py, the input is checked in provision_input.py.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.instance.alarms import METRICS, read_rival_alarms
from lambdas.instance.facts import (
    Instance,
    InstanceType,
    read_instance,
    read_instance_type,
    read_ping,
    read_shutdown_behavior,
)
from lambdas.plan_dump_volume.choose_volume import Choice, DumpVolume, choose_volume, client_token, plan_size_gib
from lambdas.plan_dump_volume.provision_input import (
    IN_GUEST_TRIGGERS,
    Parameters,
    ProvisionInput,
    document_parameters,
)
from lambdas.runtime import clients
from lambdas.runtime.environment import Provisioning
from lambdas.runtime.errors import (
    InstanceNotEnrolled,
    InstanceNotFound,
    InstanceNotManaged,
    InstanceNotRunning,
    InstanceTerminatesOnShutdown,
    InsufficientMemory,
    InvalidInput,
    UnsupportedArchitecture,
    UnsupportedHypervisor,
    UnsupportedPlatform,
)
from lambdas.runtime.execution_input import read_input
from lambdas.runtime.observability import entry_point, logger
from lambdas.runtime.tags import ENROLLED_TAG, OWNER_TAG, STACK, STACK_TAG

_LEAST_MEMORY_MIB = 1024
_LARGEST_VOLUME_GIB = 65_536


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"input", "executionId", "startTime"}`, gives the plan; raises the name of what can never work."""
    settings = Provisioning.read()
    given = read_input(ProvisionInput, event["input"])
    instance = _find(given.instance_id)
    instance_type = _inspect(instance)
    size_gib = given.size_gib or plan_size_gib(
        instance_type.memory_mib,
        factor=given.dump_size_factor or settings.dump_size_factor,
        minimum_gib=settings.minimum_dump_volume_gib,
    )
    if size_gib > _LARGEST_VOLUME_GIB:
        raise InvalidInput(
            f"{instance.instance_id} would need a dump volume of {size_gib} GiB; gp3 ends at {_LARGEST_VOLUME_GIB}.",
            "Give sizeGib, or a smaller dumpSizeFactor.",
        )
    choice = choose_volume(instance, _read_dump_volumes(instance.instance_id), size_gib=size_gib)
    reboot = settings.allow_reboot if given.reboot is None else given.reboot
    parameters = document_parameters(
        given, settings.defaults(), reboot=reboot, takes_interrupt=instance_type.takes_interrupt
    )
    _require_survival(instance, final_action=parameters.configure["finalAction"][0])
    logger.info("Plan for %s: %s", instance.instance_id, choice)
    return {
        "instanceId": instance.instance_id,
        "instanceType": instance.instance_type,
        "availabilityZone": instance.availability_zone,
        "volume": _volume(choice, instance, execution_id=event["executionId"]),
        "prepareParameters": parameters.prepare,
        "configureParameters": parameters.configure,
        "checkParameters": parameters.check,
        "reboot": reboot,
        "diagnosticInterrupt": _diagnostic_interrupt(instance_type, parameters.configure),
        "conflictingAlarms": _conflicting_alarms(instance.instance_id),
    }


def _conflicting_alarms(instance_id: str) -> list[str]:
    """The owner's alarms that would take a hang's evidence away, "name: reboot", for the outcome of the execution."""
    return sorted({str(rival) for metric in METRICS for rival in read_rival_alarms(instance_id, metric)})


def _diagnostic_interrupt(instance_type: InstanceType, configured: Parameters) -> dict[str, str]:
    """Whether EC2 can interrupt this instance, for the outcome of the execution."""
    if instance_type.takes_interrupt:
        return {"status": "supported", "detail": "When it hangs, EC2 can interrupt it."}
    triggers = ", ".join(name for name in IN_GUEST_TRIGGERS if configured[name] == ["1"]) or "none"
    return {
        "status": "unsupported",
        "detail": f"EC2 sends no diagnostic interrupt to {', '.join(instance_type.architectures)}. Triggers inside the"
        f" instance take its place: {triggers}. After a dump that they made, start CollectVmcore with its instanceId.",
    }


def _find(instance_id: str) -> Instance:
    instance = read_instance(instance_id)
    if instance is None:
        raise InstanceNotFound(
            f"EC2 knows no instance {instance_id} in this account and Region.",
            "Check the id, and run ProvisionDumpVolume in the instance's own account and Region.",
        )
    if instance.state != "running":
        raise InstanceNotRunning(f"{instance_id} is {instance.state}.", "Start it, then run ProvisionDumpVolume again.")
    if not instance.is_enrolled:
        seen = instance.tags.get(ENROLLED_TAG)
        raise InstanceNotEnrolled(
            f"{instance_id} is not tagged {ENROLLED_TAG}=true" + (f" (the tag says {seen!r})." if seen else "."),
            "Hangdump crashes the instance when it hangs: if its owner agrees, tag it and run this again.",
        )
    return instance


def _inspect(instance: Instance) -> InstanceType:
    if instance.is_windows:
        raise UnsupportedPlatform(
            f"{instance.instance_id} runs Windows.", "Only Linux is supported: remove the tag hangdump:enrolled."
        )
    described = read_instance_type(instance.instance_type)
    name = f"{instance.instance_id} is a {instance.instance_type}"
    if described.hypervisor not in ("nitro", "bare-metal"):
        raise UnsupportedHypervisor(
            f"{name}, which runs on {described.hypervisor}: EC2 cannot send it a diagnostic interrupt.",
            "Change it to a Nitro type, such as t3 or m5 and later.",
        )
    if not {"x86_64", "arm64"} & set(described.architectures):
        raise UnsupportedArchitecture(
            f"{name}, which is {', '.join(described.architectures)}.", "Only x86_64 and arm64 types can dump."
        )
    if described.memory_mib < _LEAST_MEMORY_MIB:
        raise InsufficientMemory(
            f"{name} with {described.memory_mib} MiB of memory; a crash kernel needs an instance of 1 GiB or more.",
            "Change it to a larger type.",
        )
    _require_systems_manager(instance)
    return described


def _require_systems_manager(instance: Instance) -> None:
    ping = read_ping(instance.instance_id)
    if ping is None:
        raise InstanceNotManaged(
            f"{instance.instance_id} is not registered with Systems Manager.",
            "Install and start the SSM agent, give the instance the policy AmazonSSMManagedInstanceCore (or turn on"
            " Default Host Management), and let it reach the ssm and ssmmessages endpoints.",
        )
    if ping.platform_type == "Windows":
        raise UnsupportedPlatform(
            f"{instance.instance_id} runs Windows.", "Only Linux is supported: remove the tag hangdump:enrolled."
        )
    if ping.status != "Online":
        raise InstanceNotManaged(
            f"Systems Manager has {instance.instance_id} as {ping.status}, last ping {ping.last_ping_at.isoformat()}.",
            "Bring its SSM agent back (is the instance itself well?), then run ProvisionDumpVolume again.",
        )


def _require_survival(instance: Instance, *, final_action: str) -> None:
    """Powered off after the dump, the instance must still be there to be started again."""
    if final_action != "poweroff":
        return
    behavior = read_shutdown_behavior(instance.instance_id)
    if behavior != "stop":
        raise InstanceTerminatesOnShutdown(
            f"finalAction is poweroff, but the shutdown behavior of {instance.instance_id} is {behavior}: powering off"
            " after the dump would end the instance.",
            "Set its instanceInitiatedShutdownBehavior to stop (ModifyInstanceAttribute), or give finalAction reboot.",
        )


def _read_dump_volumes(instance_id: str) -> list[DumpVolume]:
    pages = (
        clients.ec2()
        .get_paginator("describe_volumes")
        .paginate(Filters=[{"Name": f"tag:{OWNER_TAG}", "Values": [instance_id]}])
    )
    volumes = []
    for volume in (volume for page in pages for volume in page["Volumes"]):
        # gp3 has no Multi-Attach: one attachment at most
        attachment = volume["Attachments"][0] if volume.get("Attachments") else {}
        volumes.append(
            DumpVolume(
                volume_id=volume["VolumeId"],
                state=volume["State"],
                availability_zone=volume["AvailabilityZone"],
                size_gib=volume["Size"],
                attached_to=attachment.get("InstanceId", ""),
                attachment_state=attachment.get("State", ""),
                device=attachment.get("Device", ""),
            )
        )
    return volumes


def _volume(choice: Choice, instance: Instance, *, execution_id: str) -> dict[str, Any]:
    tags = {"Name": f"hangdump {instance.instance_id}", OWNER_TAG: instance.instance_id, STACK_TAG: STACK}
    planned: dict[str, Any] = {
        "action": choice.action,
        "sizeGib": choice.size_gib,
        "clientToken": client_token(execution_id),
        "device": choice.device,
        "tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    return planned | ({"volumeId": choice.volume_id} if choice.volume_id else {})
