"""What a human is told by SNS: the words, and the publishing. Owns the advice that goes with each refusal."""

from collections.abc import Mapping
from typing import Any

from lambdas.runtime import clients

# SNS: at most 100 characters of printable ASCII
_SUBJECT_LENGTH = 100

_NEXT_STEP = {
    "not-enrolled": "If its owner agrees that it may be crashed, tag it hangdump:enrolled=true.",
    "not-ready": "Run ProvisionDumpVolume for it; only an instance that is ready can dump.",
    "ready-stale": "Run ProvisionDumpVolume for it: that it can still dump must be proven. See readyMaxAgeDays and"
    " readyAcrossBoots.",
    "boot-grace": "Nothing, if it comes up. If it hangs while it boots, see its console: no dump is possible so early.",
    "dump-under-way": "Once it is back, start CollectVmcore with its instanceId: it fetches the dump.",
    "alarm-muted": "Nothing, if it is meant so. If it surely hangs, start CollectVmcore with interrupt: true.",
    "maintenance-window": "See maintenanceWindows. If it surely hangs, start CollectVmcore with interrupt: true.",
    "other-alarm-acts": "Leave it to that alarm; for a dump instead, let it evaluate more periods than the hang alarm.",
    "not-running": "Nothing to dump. Start it, and look at its console output.",
    "unsupported-hypervisor": "Only Nitro instances take a diagnostic interrupt: change the type, or retire the alarm.",
    "unsupported-architecture": "EC2 interrupts x86_64 only. If a trigger of its own, such as softlockup_panic, made it"
    " dump, start CollectVmcore with its instanceId once it is back; else reboot it.",
    "UnsupportedOperation": "EC2 does not support the interrupt on this type: change the type, or retire the alarm.",
    "system-check-failed": "Leave it to EC2's recovery, or stop and start the instance to move it to another host.",
    "ebs-check-failed": "See the volume's status in EBS; a dump needs a disk that answers.",
    "status-check-passes": "Nothing, if the instance is well. If it is not, start CollectVmcore with interrupt: true.",
    "instance-responds": "Nothing, if the instance is well. If it is not, start CollectVmcore with interrupt: true.",
    "cooldown": "If the instance hangs again, wait for the cooldown, or lower cooldownSeconds.",
    "fleet-budget-spent": "Many hangs at once often have one cause outside: look there. Or raise fleetBudget.",
    "zone-budget-spent": "See the zone's health: many hangs there have one cause outside. Or raise zoneBudget.",
    "group-budget-spent": "The dumps that were taken show what the group's instances do. Or raise groupBudget.",
    "instance-unknown": "See whether the alarm's InstanceId still exists here, else delete the alarm.",
    "evidence-missing": "Repair what could not be read. If it surely hangs, start CollectVmcore with interrupt: true.",
    "kill-switch-off": "When interrupts may be sent again, set the parameter to on; see Operate in the README.",
    "kill-switch-unreadable": "See the parameter and the function's role: until it can be read nothing is interrupted.",
    "standby-unavailable": "Its Auto Scaling group could replace it in the middle of a dump: docs/auto-scaling.md says"
    " what Standby needs. Or set autoScalingStandby to preferred.",
    "dry-run": "Set dryRun to false and deploy, when you trust it.",
    "UnauthorizedOperation": "See the role's policy, the tag condition and the organization's policies.",
    "RequestLimitExceeded": "If it still hangs, start CollectVmcore with interrupt: true after the cooldown.",
}


def next_step(reason: str) -> str:
    """What the reader of a refusal can do."""
    return _NEXT_STEP.get(reason, "See the incident record.")


def publish(topic_arn: str, *, subject: str, lines: list[str]) -> None:
    """One e-mail or message; `lines` are joined as they are."""
    printable = "".join(character if " " <= character <= "~" else "?" for character in subject)
    clients.sns().publish(TopicArn=topic_arn, Subject=printable[:_SUBJECT_LENGTH], Message="\n".join(lines))


def table(rows: Mapping[str, Any]) -> list[str]:
    """Aligned `name  value` lines, without those that have no value."""
    present = {name: value for name, value in rows.items() if value not in (None, "", [], {})}
    width = max((len(name) for name in present), default=0)
    return [f"{name:<{width}}  {value}" for name, value in present.items()]
