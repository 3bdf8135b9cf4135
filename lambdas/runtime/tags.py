"""The tags that Hangdump reads and sets on instances and volumes, and the names of its hang alarms."""

from collections.abc import Iterable, Mapping

from lambdas.runtime import moment

# The owner sets it to let Hangdump crash the instance when it hangs.
ENROLLED_TAG = "hangdump:enrolled"
# The owner picks one of the stack's profiles with it: settings that differ from the stack's own.
PROFILE_TAG = "hangdump:profile"
READY_TAG = "hangdump:ready"
# The kernel that was running when the instance was seen ready.
READY_KERNEL_TAG = "hangdump:ready-kernel"
# The kdump configuration that was proven then; hangdump-ready.service prints that of each boot.
READY_CONFIG_TAG = "hangdump:ready-config"
READY_TAGS = (READY_TAG, READY_KERNEL_TAG, READY_CONFIG_TAG)
# The last dump of the instance showed no hang: it is not interrupted until its owner removes the tag, whose value is
# the incident.
DISARMED_TAG = "hangdump:disarmed"
# The owner sets it on a host that may read vmcores.
ANALYSIS_HOST_TAG = "hangdump:analysis-host"
# On a dump volume: the instance that the volume belongs to.
OWNER_TAG = "hangdump:instance-id"
STACK_TAG, STACK = "hangdump:stack", "Hangdump"
# Instances of an owner and dump volumes: nothing that carries one of these is ever removed, whatever else it carries.
PROTECTING_TAGS = frozenset({ENROLLED_TAG, OWNER_TAG})
# On the twin that a drill crashes: the name of the drill's execution. DrillDump enrols the twin itself, at its launch.
DRILL_TAG = "hangdump:drill"
# Whoever sets it on a dump volume, with any value, keeps the volume from being removed.
RETAIN_TAG = "Retain"
# The table's item dump-volume#<volume id> says for which instance ProvisionDumpVolume created the volume. The right to
# tag does not suffice to write it.
DUMP_VOLUME_RECORD_PREFIX = "dump-volume#"
# The table's item parked#<instance id> says from which snapshot the dump volume of the instance is made at its crash.
PARKED_PREFIX = "parked#"
# On everything that is made to be removed again, by a rescue or for an analysis: the execution that makes it, its
# incident, the instance of that incident. Not OWNER_TAG: ProvisionDumpVolume would take a copy for a dump volume.
# Two of the names are of the time when only rescues launched: an upgrade must still find what an older version left.
MAKER_TAG = "hangdump:rescue"
INCIDENT_TAG = "hangdump:incident"
MADE_FOR_TAG = "hangdump:rescue-of"
# On the copy: the volume that was copied.
COPIED_VOLUME_TAG = "hangdump:copy-of"
# The hang alarm of an instance is hangdump-<instance id>; no other alarm of Hangdump has this prefix.
HANG_ALARM_PREFIX = "hangdump-"
# Set by Auto Scaling itself, which reserves the prefix aws: for AWS.
AUTO_SCALING_GROUP_TAG = "aws:autoscaling:groupName"


def protecting_tags(tags: Mapping[str, str]) -> set[str]:
    """The tags that keep a resource from being removed. A drill's twin is enrolled, but not by an owner."""
    protecting = PROTECTING_TAGS & tags.keys()
    return set(protecting - {ENROLLED_TAG} if tags.get(DRILL_TAG) else protecting)


def hang_alarm_name(instance_id: str) -> str:
    """hangdump-i-0123456789abcdef0"""
    return f"{HANG_ALARM_PREFIX}{instance_id}"


def which_profiles(names: Iterable[str]) -> str:
    """What an owner can do about a tag that names no profile."""
    known = ", ".join(sorted(names))
    return f"Set the tag {PROFILE_TAG} to one of {known}, or remove it." if known else f"Remove the tag {PROFILE_TAG}."


def is_retained(keys: Iterable[str]) -> bool:
    """Whether somebody asked to keep the volume with these tags. IAM does not tell the cases apart either."""
    return any(key.lower() == RETAIN_TAG.lower() for key in keys)


def is_enrolled(tags: Mapping[str, str]) -> bool:
    """Whether the owner opted in: exactly `true`, because any other spelling leaves doubt."""
    return tags.get(ENROLLED_TAG) == "true"


def ready_epoch(tags: Mapping[str, str]) -> int:
    """When kdump was last seen ready, by ProvisionDumpVolume or a sweep; 0: never, or the tag is no time."""
    try:
        return moment.epoch(moment.parse(tags.get(READY_TAG, "")))
    except ValueError:
        return 0
