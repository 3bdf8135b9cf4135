"""Names that Hangdump gives and reads: tags on instances and volumes, names of alarms."""

ENROLLED_TAG = "hangdump:enrolled"
READY_TAG = "hangdump:ready"
# The kernel that was running when the instance was seen ready.
READY_KERNEL_TAG = "hangdump:ready-kernel"
ANALYSIS_HOST_TAG = "hangdump:analysis-host"
OWNER_TAG = "hangdump:instance-id"
STACK_TAG, STACK = "hangdump:stack", "Hangdump"
# Its execution, its incident, and the instance whose dump it is after. Never OWNER_TAG: ProvisionDumpVolume would take
# a copy for a dump volume.
RESCUE_EXECUTION_TAG = "hangdump:rescue"
INCIDENT_TAG = "hangdump:incident"
RESCUED_INSTANCE_TAG = "hangdump:rescue-of"
# On the copy: the volume that it is a copy of.
COPIED_VOLUME_TAG = "hangdump:copy-of"
HANG_ALARM_PREFIX = "hangdump-"
