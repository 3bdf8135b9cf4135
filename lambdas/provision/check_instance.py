"""Refuses an instance that can never dump, with a named error."""

from lambdas.instance.facts import (
    Instance,
    InstanceType,
    read_instance,
    read_instance_type,
    read_ping,
    read_shutdown_behavior,
)
from lambdas.provision.volume_size import LEAST_MEMORY_MIB
from lambdas.runtime.errors import (
    InstanceNotEnrolled,
    InstanceNotFound,
    InstanceNotManaged,
    InstanceNotRunning,
    InstanceTerminatesOnShutdown,
    InsufficientMemory,
    UnsupportedArchitecture,
    UnsupportedHypervisor,
    UnsupportedPlatform,
)
from lambdas.runtime.tags import ENROLLED_TAG


def find_instance(instance_id: str) -> Instance:
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
            "Hangdump crashes the instance when it hangs. If its owner agrees, tag it, then run ProvisionDumpVolume"
            " again.",
        )
    return instance


def inspect(instance: Instance) -> InstanceType:
    if instance.is_windows:
        raise UnsupportedPlatform(
            f"{instance.instance_id} runs Windows.", f"Only Linux is supported: remove the tag {ENROLLED_TAG}."
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
    if described.memory_mib < LEAST_MEMORY_MIB:
        raise InsufficientMemory(
            f"{name} with {described.memory_mib} MiB of memory; a crash kernel needs an instance of 1 GiB or more.",
            "Change it to a larger type.",
        )
    require_systems_manager(instance, then="run ProvisionDumpVolume again")
    return described


def require_systems_manager(instance: Instance, *, then: str) -> None:
    """Raises InstanceNotManaged, UnsupportedPlatform; `then` is what to do when it is reached again."""
    ping = read_ping(instance.instance_id)
    if ping is None:
        raise InstanceNotManaged(
            f"{instance.instance_id} is not registered with Systems Manager.",
            "Install and start the SSM agent, give the instance the policy AmazonSSMManagedInstanceCore (or turn on"
            f" Default Host Management), and let it reach the ssm and ssmmessages endpoints; then {then}.",
        )
    if ping.platform_type == "Windows":
        raise UnsupportedPlatform(
            f"{instance.instance_id} runs Windows.", f"Only Linux is supported: remove the tag {ENROLLED_TAG}."
        )
    if ping.status != "Online":
        raise InstanceNotManaged(
            f"Systems Manager does not reach {instance.instance_id}: {ping.status}, last ping "
            f"{ping.last_ping_at.isoformat()}.",
            f"Check that the instance is healthy, restart its SSM agent, then {then}.",
        )


def require_survival(instance: Instance, *, final_action: str) -> None:
    """Refuses finalAction poweroff if powering off would terminate the instance."""
    if final_action != "poweroff":
        return
    behavior = read_shutdown_behavior(instance.instance_id)
    if behavior != "stop":
        raise InstanceTerminatesOnShutdown(
            f"finalAction is poweroff, but the shutdown behavior of {instance.instance_id} is {behavior}: EC2 would"
            " terminate it at power-off after the dump.",
            "Set its instanceInitiatedShutdownBehavior to stop (ModifyInstanceAttribute), or set finalAction reboot.",
        )
