"""Leaves a reboot to the owner where an Auto Scaling group would replace the instance meanwhile."""

from lambdas.instance.auto_scaling import read_membership, read_suspended_processes
from lambdas.instance.facts import Instance

# The group does not look at its health, and so does not replace it. The second: a launch hook holds it back.
_UNWATCHED = ("Standby", "Pending:Wait")
# With one of these suspended, an instance that fails a health check stays.
_REPLACING = {"HealthCheck", "ReplaceUnhealthy", "Terminate"}


def why_not_reboot(instance: Instance) -> str:
    """Says why Hangdump does not reboot the instance, and what the owner can do; "" if it may."""
    if not instance.auto_scaling_group:
        return ""
    member = read_membership(instance.instance_id)
    if member is None or member.lifecycle_state in _UNWATCHED or _REPLACING & read_suspended_processes(member.group):
        return ""
    return (
        f"It is {member.lifecycle_state} in the Auto Scaling group {member.group}, which may replace it while it boots."
        " Put it into Standby, or suspend ReplaceUnhealthy, then run ProvisionDumpVolume again."
    )
