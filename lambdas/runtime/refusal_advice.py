"""What to do about each refusal to interrupt. Pure: notifications, reports and the command line say the same."""

_NEXT_STEP = {
    "not-enrolled": "If the owner agrees to crash the instance when it hangs, tag it hangdump:enrolled=true.",
    "disarmed": "Read the report of the incident that the tag names. To let alarms interrupt the instance again,"
    " remove the tag.",
    "not-ready": "Run ProvisionDumpVolume for the instance: only a ready instance can dump.",
    "ready-stale": "Run ProvisionDumpVolume for the instance: it checks again that the instance can dump. See the"
    " settings readyMaxAgeDays and readyAcrossBoots.",
    "boot-grace": "Nothing, if the boot completes. If it hangs, read the console: no dump is possible this early.",
    "dump-under-way": "Look at the instance's console. If its crash kernel hangs, reboot the instance. When it is back,"
    " start CollectVmcore with its instanceId to fetch the dump.",
    "incident-open": "Nothing, if that incident's collection runs. Otherwise start CollectVmcore with the instanceId"
    " and that incident's incidentId.",
    "alarm-muted": "Nothing, if the mute is intended. If the instance surely hangs, start CollectVmcore with"
    " interrupt: true.",
    "maintenance-window": "See the setting maintenanceWindows. If the instance surely hangs, start CollectVmcore with"
    " interrupt: true.",
    "other-alarm-acts": "Leave it to that alarm. To get a dump instead, give that alarm more evaluation periods than"
    " the hang alarm has.",
    "not-running": "Start the instance, and read its console output.",
    "unsupported-hypervisor": "Only Nitro instances take a diagnostic interrupt: change the type, or delete the alarm.",
    "unsupported-architecture": "EC2 interrupts only x86_64. If the instance dumped on its own (softlockup_panic,"
    " for example), start CollectVmcore with its instanceId when it is back. Otherwise reboot it.",
    "UnsupportedOperation": "EC2 does not support the interrupt on this type: change the type, or delete the alarm.",
    "system-check-failed": "Leave it to EC2's recovery, or stop and start the instance to move it to another host.",
    "ebs-check-failed": "Check the volume's status in EBS: a dump needs a working disk.",
    "status-check-passes": "Nothing, if the instance is healthy. Otherwise start CollectVmcore with interrupt: true.",
    "hang-too-young": "Nothing: if it still hangs, it is checked again. Or start CollectVmcore with interrupt: true.",
    "suspected-hang": "Look at the instance. If it hangs, start CollectVmcore with interrupt: true. See the setting"
    " interruptOnSilence.",
    "agent-was-dead": "Restart the SSM agent. If the instance surely hangs, start CollectVmcore with interrupt: true.",
    "correlated-failure": "Check the health of the zone and its network. If one instance surely hangs, start"
    " CollectVmcore with interrupt: true.",
    "scheduled-event": "Leave it to EC2's event. If the instance surely hangs, start CollectVmcore with interrupt:"
    " true.",
    "still-works": "Check the instance's network. If the instance surely hangs, start CollectVmcore with interrupt:"
    " true.",
    "no-credits": "Use unlimited mode, or a type without credits.",
    "instance-responds": "Nothing, if the instance is healthy. Otherwise start CollectVmcore with interrupt: true.",
    "cooldown": "If the instance hangs again, wait for the cooldown, or lower cooldownSeconds.",
    "fleet-budget-spent": "Many hangs at once often have one external cause: look for it. Or raise fleetBudget.",
    "zone-budget-spent": "Check the zone's health: many hangs in one zone often have an external cause. Or raise"
    " zoneBudget.",
    "group-budget-spent": "Read the dumps already taken: they show what hangs in this group. Or raise groupBudget.",
    "drill-spent": "Nothing, if it is a drill's twin that hangs again: DrillDump removes it. Otherwise remove the tag"
    " hangdump:drill from the instance.",
    "instance-unknown": "Check whether the alarm's InstanceId still exists in this account and Region. If not, delete"
    " the alarm.",
    "evidence-missing": "Fix the read that failed. If the instance surely hangs, start CollectVmcore with"
    " interrupt: true.",
    "kill-switch-off": "To allow interrupts, set the parameter to on (Operate in the README): what still hangs is"
    " checked again within the hour.",
    "kill-switch-unreadable": "Check the parameter and the function's role: without it no interrupt is sent.",
    "standby-unavailable": "Without Standby the Auto Scaling group could replace the instance during the dump:"
    " docs/auto-scaling.md lists what Standby needs. Or set autoScalingStandby to preferred.",
    "dry-run": "To send interrupts, set dryRun to false and deploy.",
    "UnauthorizedOperation": "Check the role's policy, the tag condition and the organization's policies.",
    "RequestLimitExceeded": "Nothing: if it still hangs, it is checked again within the hour.",
}


def next_step(reason: str) -> str:
    """The advice for a refusal."""
    return _NEXT_STEP.get(reason, "See the incident record.")
