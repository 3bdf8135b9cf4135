"""Every error that a user can meet, by name: raised here, printed by a document, or said by a state machine.

Owns the names that the state machines catch and that the documents print; owns no recovery.
"""

from typing import ClassVar


class HangdumpError(Exception):
    """What happened, with its identifiers, and what to do next; read by a human in a Cause or a notification.

    A class's docstring says what happened, its next_step what to do: docs/errors.md is made of the two.
    """

    next_step: ClassVar[str] = ""

    def __init__(self, happened: str, next_step: str = "") -> None:
        super().__init__(f"{happened} {next_step}".strip())


class InvalidInput(HangdumpError):
    """An input or event names no instance, a wrong value, or a key that does not exist."""

    next_step = "Correct the field that the message names, then start again."


class InvalidParameter(HangdumpError):
    """A document refused a parameter."""

    next_step = "Correct the parameter that the message names, then start again."


class InstanceNotFound(HangdumpError):
    """EC2 knows no such instance in this account and Region."""

    next_step = "Check the id, and use the instance's own account and Region."


class InstanceNotRunning(HangdumpError):
    """The instance is stopped, stopping or gone."""

    next_step = "Start the instance, then start the execution again."


class InstanceNotEnrolled(HangdumpError):
    """The owner has not opted in with the tag hangdump:enrolled=true."""

    next_step = "If its owner agrees that it may be crashed, tag it hangdump:enrolled=true."


class InstanceNotManaged(HangdumpError):
    """Systems Manager does not reach the instance."""

    next_step = (
        "Start its SSM agent, give the instance AmazonSSMManagedInstanceCore, and let it reach the endpoints ssm and "
        "ssmmessages."
    )


class InstanceUnreachable(HangdumpError):
    """A command was accepted by Systems Manager but never reached the instance."""

    next_step = "Check that the instance runs and its SSM agent is connected, then start again."


class UnsupportedHypervisor(HangdumpError):
    """Not a Nitro instance: EC2 cannot send it a diagnostic interrupt."""

    next_step = "Change it to a Nitro type, such as t3, m5 or later."


class UnsupportedArchitecture(HangdumpError):
    """Neither x86_64 nor arm64."""

    next_step = "Use an x86_64 or arm64 type."


class UnsupportedPlatform(HangdumpError):
    """Windows: these documents configure kdump, which is Linux only."""

    next_step = "Remove the tag hangdump:enrolled: only Linux is supported."


class UnsupportedFamily(HangdumpError):
    """A Linux distribution that no file under ssm_documents/families covers."""

    next_step = "See docs/families.md for the distributions that are supported."


class NotNitro(HangdumpError):
    """Seen from inside: the instance does not run on KVM/Nitro."""

    next_step = "Change it to a Nitro type, such as t3, m5 or later."


class NoCrashDumpSupport(HangdumpError):
    """The running kernel is built without CONFIG_CRASH_DUMP."""

    next_step = "Boot a kernel with CONFIG_CRASH_DUMP: the distribution's standard kernels have it."


class InsufficientMemory(HangdumpError):
    """Less than 1 GiB: no room for a crash kernel."""

    next_step = "Change the instance to a larger type."


class InsufficientBootSpace(HangdumpError):
    """/boot cannot take the crash kernel's initramfs."""

    next_step = "Remove old kernels or enlarge /boot, then run ProvisionDumpVolume again."


class InstanceTerminatesOnShutdown(HangdumpError):
    """finalAction is poweroff, and EC2 would terminate the instance for it, with its dump half collected."""

    next_step = "Set instanceInitiatedShutdownBehavior to stop (ModifyInstanceAttribute), or use finalAction reboot."


class NoFreeDeviceName(HangdumpError):
    """Every device name in /dev/sd[f-p] is taken."""

    next_step = "Detach a volume from /dev/sd[f-p], then run ProvisionDumpVolume again."


class DumpVolumeElsewhere(HangdumpError):
    """The instance's dump volume is in another Availability Zone, on another instance, or on its way off this one."""

    next_step = (
        "Detach the volume, or delete it if it holds no vmcore that you need; then run ProvisionDumpVolume again."
    )


class SeveralDumpVolumes(HangdumpError):
    """More than one unattached volume claims to be this instance's dump volume."""

    next_step = (
        "See which volume holds a vmcore that you need; delete the others or remove their tag hangdump:instance-id."
    )


class NoDumpVolume(HangdumpError):
    """No volume carries the instance's tag: there is nothing to rescue a vmcore from."""

    next_step = "Nothing: without its dump volume there is no vmcore to rescue."


class DumpVolumeNotFound(HangdumpError):
    """The guest shows no NVMe disk with the dump volume's serial."""

    next_step = "Check in EC2 that the dump volume is attached, then run ProvisionDumpVolume again."


class DeviceHoldsData(HangdumpError):
    """The disk carries a signature, a partition or a mount that is not ours: it is never formatted."""

    next_step = (
        "Check what is on the disk. If it is not needed, wipe it yourself (wipefs), then run ProvisionDumpVolume again."
    )


class DumpVolumeMismatch(HangdumpError):
    """What is mounted as the dump target is not the dump volume."""

    next_step = "Unmount what is mounted at the mount point, or set another mountPoint."


class PackageUnavailable(HangdumpError):
    """The guest's package manager cannot get the kdump packages."""

    next_step = "Let the instance reach its package repositories, or install the packages yourself, then start again."


class ConfigurationFailed(HangdumpError):
    """A configuration step failed inside the guest."""

    next_step = "See the command's output in Systems Manager, mend what it names, then start again."


class KdumpNotReady(HangdumpError):
    """Everything is configured, yet the crash kernel or its target is not in place."""

    next_step = "Each finding names its remedy: see docs/readiness.md."


class DocumentFailed(HangdumpError):
    """A document ended without a result that can be read."""

    next_step = "See the command's output in Systems Manager."


class DocumentTimedOut(HangdumpError):
    """A document did not finish in the time given."""

    next_step = (
        "See what the command was waiting for; if it was only slow, raise documentTimeoutSeconds or "
        "uploadTimeoutSeconds."
    )


class VmcoreNotFound(HangdumpError):
    """No vmcore of this crash is on the dump target."""

    next_step = "See console.txt: the crash kernel's messages say why no dump was written."


class VmcoreTooLarge(HangdumpError):
    """S3 takes no object of that size."""

    next_step = "Use a higher dumpLevel, so that the next vmcore is smaller; copy this one by other means."


class VmcoreChanged(HangdumpError):
    """The vmcore on the instance is no longer the one that was uploaded: it is not removed."""

    next_step = "Nothing is lost: start CollectVmcore again for the file that is there now."


class UploadRefused(HangdumpError):
    """S3 answered 403 to the instance."""

    next_step = "Check the bucket's policy and key, and the S3 endpoint's policy; then start CollectVmcore again."


class UploadFailed(HangdumpError):
    """The instance could not send every part."""

    next_step = "Check the instance's network to S3, then start CollectVmcore again: parts that were sent stay."


class UploadIncomplete(HangdumpError):
    """S3 does not hold every part."""

    next_step = "Start CollectVmcore again: it sends only the parts that S3 lacks."


class VmcoreNotIdentical(HangdumpError):
    """The object in S3 is not the vmcore that the instance described."""

    next_step = "Start CollectVmcore again; if it repeats, look for a failing disk or memory on the instance."


class VmcoreUnreadable(HangdumpError):
    """The object in S3 is identical to the file on the instance, and does not open as a kernel dump."""

    next_step = "The file stays on the instance. Its log is in the bucket; see docs/crash-classes.md."


class BudgetsUnread(HangdumpError):
    """DynamoDB answered without all of the items that the budgets are judged by."""

    next_step = "Nothing: Lambda tries the alarm again."


class DebuginfoNotFound(HangdumpError):
    """No debuginfo of exactly that kernel can be had on the analysis host."""

    next_step = "Install the kernel's debug packages on the analysis host, or give --debuginfo: see docs/analysis.md."


class SymbolsMismatched(HangdumpError):
    """The debuginfo is of another build of the kernel."""

    next_step = "Use the debuginfo of exactly that build: the message names its build id."


class InsufficientDiskSpace(HangdumpError):
    """The analysis host has no room for the vmcore."""

    next_step = "Free space on the analysis host: it needs the vmcore's size and a tenth more."


class AnalysisFailed(HangdumpError):
    """The analysis host could not fetch the vmcore, read it, or send the result."""

    next_step = "See the command's output in Systems Manager, then start AnalyzeVmcore again."


class AnalysisHostRefused(HangdumpError):
    """Not a host that its owner tagged hangdump:analysis-host=true: a vmcore is another machine's memory."""

    next_step = "Tag a host hangdump:analysis-host=true on which nobody works who must not read a vmcore."


class BucketRefused(HangdumpError):
    """The vmcore bucket or its key refused us."""

    next_step = "Check the policies of the vmcore bucket and its key."


class CollectorDied(HangdumpError):
    """The rescue instance stopped or was terminated before it could be used."""

    next_step = "Start RescueVmcore again; if it repeats, check the image and the instance type of the rescue settings."


class CollectorLate(HangdumpError):
    """The rescue instance did not start to run in time."""

    next_step = "EC2 may lack capacity: start RescueVmcore again later, or set another instance type."


class CollectorSilent(HangdumpError):
    """Systems Manager did not hear of the rescue instance in time."""

    next_step = "Give its subnet a way to the endpoints ssm, ssmmessages and S3."


class DumpVolumeCopyMissing(HangdumpError):
    """EC2 shows no copy of the dump volume on the rescue instance."""

    next_step = "Start RescueVmcore again."


class DumpVolumeCopyBroken(HangdumpError):
    """The snapshot of the dump volume went to state error."""

    next_step = "Check the policy of the volume's key, then start RescueVmcore again."


class DumpVolumeCopyLate(HangdumpError):
    """The snapshot of the dump volume did not complete in time."""

    next_step = "Start RescueVmcore again: the next snapshot is incremental."


class RescueUnfinished(HangdumpError):
    """RescueVmcore did not end with a verdict of its own."""

    next_step = "See its execution; then start RescueVmcore again."


class DumpVolumeBroken(HangdumpError):
    """EC2 reports the new dump volume as failed; a denied KMS key does that."""

    next_step = "Check the EBS key's policy, then run ProvisionDumpVolume again."


class DumpVolumeLate(HangdumpError):
    """The dump volume did not become available in time."""

    next_step = "Run ProvisionDumpVolume again."


class AttachmentLate(HangdumpError):
    """The dump volume was not attached in time."""

    next_step = "Check the volume's state in EC2, then run ProvisionDumpVolume again."


class ProvisioningInProgress(HangdumpError):
    """Another execution provisions the same instance."""

    next_step = "Wait for the execution that the message names."


# What a document may print as "error": the closed set of the contract between the documents and read_document_result.
DOCUMENT_ERRORS: dict[str, type[HangdumpError]] = {
    error.__name__: error
    for error in (
        InvalidParameter,
        UnsupportedFamily,
        NotNitro,
        NoCrashDumpSupport,
        InsufficientMemory,
        InsufficientBootSpace,
        DumpVolumeNotFound,
        DeviceHoldsData,
        DumpVolumeMismatch,
        PackageUnavailable,
        ConfigurationFailed,
        VmcoreNotFound,
        UploadRefused,
        UploadFailed,
        VmcoreChanged,
        VmcoreUnreadable,
        DebuginfoNotFound,
        SymbolsMismatched,
        InsufficientDiskSpace,
        AnalysisFailed,
    )
}
