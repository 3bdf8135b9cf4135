"""Every error that a user can meet: functions raise it, documents print its name, state machines catch its name."""

from typing import ClassVar


class HangdumpError(Exception):
    """The message says what happened, with identifiers, and what to do next: people read it in a notification.

    docs/errors.md is generated from each class's docstring (what happened) and next_step (what to do).
    """

    next_step: ClassVar[str] = ""

    def __init__(self, happened: str, next_step: str = "") -> None:
        super().__init__(f"{happened} {next_step}".strip())

    @classmethod
    def sentence(cls) -> str:
        """What happened and what to do, where no more is known than the error's name."""
        return f"{' '.join((cls.__doc__ or '').split())} {cls.next_step}"


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
    """The instance is not running: it is stopped, stopping or terminated."""

    next_step = "Start the instance, then start the execution again."


class InstanceNotEnrolled(HangdumpError):
    """The owner has not opted in with the tag hangdump:enrolled=true."""

    next_step = "If its owner agrees to crash it when it hangs, tag it hangdump:enrolled=true."


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
    """EC2 cannot send this instance a diagnostic interrupt: it is not a Nitro type."""

    next_step = "Change it to a Nitro type, such as t3, m5 or later."


class UnsupportedArchitecture(HangdumpError):
    """The instance's architecture is neither x86_64 nor arm64."""

    next_step = "Use an x86_64 or arm64 type."


class UnsupportedPlatform(HangdumpError):
    """The instance runs Windows; kdump exists only on Linux."""

    next_step = "Remove the tag hangdump:enrolled: only Linux is supported."


class UnsupportedFamily(HangdumpError):
    """Hangdump does not support this Linux distribution."""

    next_step = "See docs/families.md for the distributions that are supported."


class NotNitro(HangdumpError):
    """The guest's hardware does not look like a Nitro instance."""

    next_step = "Change it to a Nitro type, such as t3, m5 or later."


class NoCrashDumpSupport(HangdumpError):
    """The running kernel is built without CONFIG_CRASH_DUMP."""

    next_step = "Boot a kernel with CONFIG_CRASH_DUMP: the distribution's standard kernels have it."


class ReadOnlyRoot(HangdumpError):
    """The host's root is read-only, or managed by ostree, so that no document can configure kdump there."""

    next_step = "Build kdump into the image as its distribution documents, or take one with a writable root."


class InsufficientMemory(HangdumpError):
    """The instance has too little memory for a crash kernel: less than 1 GiB, or than its distribution needs."""

    next_step = "Change the instance to a larger type."


class InsufficientBootSpace(HangdumpError):
    """/boot has no room for the crash kernel's initramfs."""

    next_step = "Remove old kernels or enlarge /boot, then run ProvisionDumpVolume again."


class InstanceTerminatesOnShutdown(HangdumpError):
    """finalAction is poweroff, but EC2 would terminate the instance at power-off, before its dump is collected."""

    next_step = "Set instanceInitiatedShutdownBehavior to stop (ModifyInstanceAttribute), or use finalAction reboot."


class NoFreeDeviceName(HangdumpError):
    """Every device name in /dev/sd[f-p] is taken."""

    next_step = "Detach a volume from /dev/sd[f-p], then run ProvisionDumpVolume again."


class DumpVolumeElsewhere(HangdumpError):
    """The dump volume is in another Availability Zone, attached to another instance, or being detached."""

    next_step = (
        "Detach the volume, or delete it if it holds no vmcore that you need; then run ProvisionDumpVolume again."
    )


class DumpVolumeUnfit(HangdumpError):
    """The attached dump volume is not one that ProvisionDumpVolume created, not encrypted, or too small."""

    next_step = (
        "Copy the dumps that you need from it, detach it, remove its tag hangdump:instance-id, and run again: another"
        " one is created. If it surely is yours, and only its record is missing, see docs/operate.md."
    )


class SeveralDumpVolumes(HangdumpError):
    """More than one unattached volume is tagged as this instance's dump volume."""

    next_step = (
        "Find the volume with the vmcore that you need; delete the others or remove their tag hangdump:instance-id."
    )


class NoDumpVolume(HangdumpError):
    """No volume is tagged as the instance's dump volume: there is nothing to rescue a vmcore from."""

    next_step = "Nothing: without its dump volume there is no vmcore to rescue."


class DumpVolumeNotFound(HangdumpError):
    """The guest has no NVMe disk with the dump volume's serial."""

    next_step = "Check in EC2 that the dump volume is attached, then run ProvisionDumpVolume again."


class DeviceHoldsData(HangdumpError):
    """The disk holds a signature, partition, mount or bytes that Hangdump cannot explain, so it is not formatted."""

    next_step = (
        "Check what is on the disk. If it is not needed, detach it, remove its tag hangdump:instance-id, and run"
        " ProvisionDumpVolume again: it creates another one."
    )


class DumpVolumeMismatch(HangdumpError):
    """Another file system than the dump volume's is mounted at the mount point."""

    next_step = "Unmount that file system, or set another mountPoint."


class ParkingUnsupported(HangdumpError):
    """On this host no dump to a parked dump volume is proven, so the dump volume stays attached."""

    next_step = (
        "Nothing: with its dump volume attached the instance dumps. See docs/parked-volume.md for what is proven."
    )


class DumpVolumeHoldsDump(HangdumpError):
    """The dump volume is not parked, because files are on it: a parked volume is deleted."""

    next_step = "Collect the dump with CollectVmcore, or remove the files if nobody needs them; then start again."


class PackageUnavailable(HangdumpError):
    """The guest's package manager cannot install the kdump packages."""

    next_step = "Let the instance reach its package repositories, or install the packages yourself, then start again."


class ConfigurationFailed(HangdumpError):
    """A configuration step failed inside the guest."""

    next_step = "See the command's output in Systems Manager, fix what it names, then start again."


class KdumpNotReady(HangdumpError):
    """kdump is configured, but the crash kernel or the dump target is not ready."""

    next_step = "Follow the remedy in each finding: see docs/readiness.md."


class DocumentFailed(HangdumpError):
    """A document ended without a readable result."""

    next_step = "See the command's output in Systems Manager."


class UnexpectedResult(HangdumpError):
    """A document's result lacks a field, or has a value that its script never prints."""

    next_step = (
        "Deploy the stack again: the document may be older than the functions. If it repeats, do not trust what the "
        "instance says."
    )


class DocumentTimedOut(HangdumpError):
    """A document did not finish in time."""

    next_step = (
        "Find out why the command did not finish; if it was only slow, raise documentTimeoutSeconds or "
        "uploadTimeoutSeconds."
    )


class VmcoreNotFound(HangdumpError):
    """No vmcore of this crash is on the dump target."""

    next_step = "See console.txt: the crash kernel's messages say why no dump was written."


class VmcoreTooLarge(HangdumpError):
    """The vmcore is larger than S3's largest object."""

    next_step = "Copy this vmcore by other means; set a higher dumpLevel to make the next one smaller."


class VmcoreChanged(HangdumpError):
    """The vmcore on the instance changed after its upload, so it was not removed."""

    next_step = "Start CollectVmcore again to upload the present file: nothing is lost."


class UploadRefused(HangdumpError):
    """S3 answered 403 to the instance."""

    next_step = "Check the bucket's policy and key, and the S3 endpoint's policy; then start CollectVmcore again."


class UploadFailed(HangdumpError):
    """The instance could not send every part."""

    next_step = "Check the instance's network to S3, then start CollectVmcore again: S3 keeps the parts already sent."


class UploadIncomplete(HangdumpError):
    """S3 does not hold every part."""

    next_step = "Start CollectVmcore again: it sends only the parts that S3 lacks."


class VmcoreNotIdentical(HangdumpError):
    """The object in S3 is not the vmcore that the instance hashed."""

    next_step = "Start CollectVmcore again; if it repeats, look for a failing disk or memory on the instance."


class VmcoreUnreadable(HangdumpError):
    """The object in S3 is identical to the file on the instance, but does not open as a kernel dump."""

    next_step = "Read the kernel's log in the bucket (docs/crash-classes.md). The file stays on the instance."


class BudgetsUnread(HangdumpError):
    """DynamoDB did not return all items with the interrupt budgets."""

    next_step = "Nothing: Lambda retries the alarm."


class DebuginfoNotFound(HangdumpError):
    """The analysis host cannot get debuginfo of exactly that kernel."""

    next_step = "Install the kernel's debug packages on the analysis host, or pass --debuginfo: see docs/analysis.md."


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
    """The host is neither tagged hangdump:analysis-host=true nor the twin that this execution launched. A vmcore is
    another machine's memory."""

    next_step = "Tag a host hangdump:analysis-host=true whose users may all read the vmcore."


class AnalysisOff(HangdumpError):
    """The setting analyze is off: this stack analyses no vmcore."""

    next_step = (
        "Set analyze to by-hand or automatic and deploy, or read the dump on your machine: python -m analysis open."
    )


class TwinImageUnavailable(HangdumpError):
    """No twin of the instance can be launched: its image is unknown, deregistered, or not shared with this account."""

    next_step = "Start AnalyzeVmcore with analysisInstanceId, a host of the same distribution: see docs/analysis.md."


class TwinNotLaunched(HangdumpError):
    """EC2 launched no twin of the instance. The message has its answer: no capacity, a quota, a denied key or image."""

    next_step = (
        "Start AnalyzeVmcore again later; set another analysisInstanceType; or give an analysisInstanceId: see "
        "docs/analysis.md."
    )


class TwinDied(HangdumpError):
    """The twin stopped or was terminated before it could be used."""

    next_step = (
        "Let the role of AnalyzeVmcore use the key that encrypts volumes by default and the key of the image, or give "
        "an analysisInstanceId."
    )


class TwinLate(HangdumpError):
    """The twin did not reach the state running in time."""

    next_step = "EC2 may lack capacity: start AnalyzeVmcore again later, or set another analysisInstanceType."


class TwinSilent(HangdumpError):
    """The agent of the twin did not connect to Systems Manager in time. No user data of the instance ran on it."""

    next_step = (
        "Build the SSM agent into the image, and give its subnet a way to the endpoints ssm, ssmmessages and S3; or "
        "give an analysisInstanceId."
    )


class TwinNotRemoved(HangdumpError):
    """The analysis is done, but the twin still exists. It shuts itself down, and the daily sweep removes it."""

    next_step = "Terminate the instance that the message names, or wait for the next sweep."


class DrillsOff(HangdumpError):
    """The settings or the switch allow no interrupt, or no drill: a twin would hang for nothing."""

    next_step = "Change the setting that the message names, or switch interrupts on; then start the drill again."


class DrillInProgress(HangdumpError):
    """Another drill of the same instance or image is running."""

    next_step = "Wait for the execution that the message names."


class DrillLimitReached(HangdumpError):
    """Too many drills were begun in this window, or the last one of the same instance or image is too recent."""

    next_step = "Wait as long as the message says, or change drillBudget or drillCooldownSeconds."


class DrillOfTwin(HangdumpError):
    """The instance to imitate was itself launched by Hangdump: for a drill, a rescue or an analysis."""

    next_step = "Give an instance of yours."


class DrillImageUnavailable(HangdumpError):
    """The image of the instance to imitate is deregistered or not shared with this account."""

    next_step = "Give imageId, instanceType and subnetId of an image that exists."


class DrillTwinNotLaunched(HangdumpError):
    """EC2 launched no twin. The message has its answer: no capacity, a quota, an unknown subnet, a denied key."""

    next_step = "Start DrillDump again later, or give imageId, instanceType and subnetId of where there is capacity."


class DrillTwinDied(HangdumpError):
    """The twin stopped or was terminated before it could be provisioned."""

    next_step = "Let the role of DrillDump use the key that encrypts volumes by default and the key of the image."


class DrillTwinLate(HangdumpError):
    """The twin did not reach the state running in time."""

    next_step = "EC2 may lack capacity: start DrillDump again later."


class DrillTwinSilent(HangdumpError):
    """The agent of the twin did not connect to Systems Manager in time. No user data of the instance ran on it."""

    next_step = (
        "Build the SSM agent into the image, and give its subnet a way to the endpoints ssm, ssmmessages and S3."
    )


class DrillTwinNotReady(HangdumpError):
    """ProvisionDumpVolume did not make the twin ready, or ended without saying why."""

    next_step = "See its execution, which has the name of the drill's: an instance of this image would fail alike."


class DrillTwinGone(HangdumpError):
    """Somebody terminated the twin before its dump was collected."""

    next_step = "Start DrillDump again, and leave the instance that carries the tag hangdump:drill alone."


class DrillUnheard(HangdumpError):
    """The twin was hung, but no dump of it was concluded in time: no alarm came, or every interrupt was refused."""

    next_step = "See why respond_to_hang refused, in the message or in its log: a real hang would go the same way."


class DrillUnproven(HangdumpError):
    """The twin was hung, but no vmcore of it came to the bucket. A real hang of this image would end the same way."""

    next_step = "Read the incident's report, remove the cause, then start DrillDump again."


class DrillLeftovers(HangdumpError):
    """Something that the drill made is still there. The twin ends itself, and the daily sweep removes or names it."""

    next_step = "Remove what the message names, when you need no dump that is on it, or wait for the next sweep."


class HangRefused(HangdumpError):
    """hang_instance hangs no instance but the twin of the drill that sent it, within an hour of its launch."""

    next_step = "Do not send it: DrillDump does."


class HangUnavailable(HangdumpError):
    """The kernel of the twin offers no way to hang it as asked."""

    next_step = "Start DrillDump with another hang: panic works on each kernel, real-time on nearly each."


class BucketRefused(HangdumpError):
    """The vmcore bucket or its key denied access to a function."""

    next_step = "Check the policies of the vmcore bucket and its key."


class CollectorDied(HangdumpError):
    """The rescue instance stopped or was terminated before it could be used."""

    next_step = "Start RescueVmcore again; if it repeats, check the image and the instance type of the rescue settings."


class CollectorLate(HangdumpError):
    """The rescue instance did not reach the state running in time."""

    next_step = "EC2 may lack capacity: start RescueVmcore again later, or set another instance type."


class CollectorSilent(HangdumpError):
    """The rescue instance's agent did not connect to Systems Manager in time."""

    next_step = "Give its subnet a way to the endpoints ssm, ssmmessages and S3."


class DumpVolumeCopyMissing(HangdumpError):
    """EC2 shows no copy of the dump volume on the rescue instance."""

    next_step = "Start RescueVmcore again."


class DumpVolumeCopyBroken(HangdumpError):
    """The snapshot of the dump volume went to state error."""

    next_step = "Check the policy of the volume's key, then start the same execution again."


class DumpVolumeCopyLate(HangdumpError):
    """The snapshot of the dump volume did not complete in time."""

    next_step = "Start the same execution again: the next snapshot is incremental."


class RescueUnfinished(HangdumpError):
    """RescueVmcore ended without a verdict."""

    next_step = "See its execution in Step Functions, then start RescueVmcore again."


class DumpVolumeBroken(HangdumpError):
    """EC2 failed to create the dump volume. A denied KMS key is one cause."""

    next_step = "Check the EBS key's policy, then run ProvisionDumpVolume again."


class DumpVolumeLate(HangdumpError):
    """The dump volume did not become available in time."""

    next_step = "Run ProvisionDumpVolume again."


class AttachmentLate(HangdumpError):
    """The dump volume was not attached in time."""

    next_step = "Check the volume's state in EC2, then run ProvisionDumpVolume again."


class AwsUnavailable(HangdumpError):
    """AWS throttled a function's call, failed or did not answer it, in every attempt of some minutes."""

    next_step = "Find out who uses up the account's request rates, or wait until the service is well; then start again."


class DumpOnInstance(HangdumpError):
    """A dump that nobody has collected lies on the instance, or one is being written: it is not retired."""

    next_step = "Start CollectVmcore for the instance, or remove the dump if nobody needs it; then retire it again."


class IncidentUnfinished(HangdumpError):
    """An incident of the instance has not ended, so its dump may be on its way: it is not retired."""

    next_step = "Wait for the execution that the message names, or start CollectVmcore; then retire the instance again."


class DetachmentLate(HangdumpError):
    """The dump volume of a retired instance, or of one whose volume is parked, was not detached and deleted."""

    next_step = (
        "Check the volume's state in EC2, then retire the instance again, or run ProvisionDumpVolume again: what is "
        "done stays done."
    )


class ProvisioningInProgress(HangdumpError):
    """Another execution is provisioning or retiring the same instance."""

    next_step = "Wait for the execution that the message names."


class ProvisioningUnfinished(HangdumpError):
    """ProvisionDumpVolume ended without a result in the fleet table: stopped, out of time, or never started."""

    next_step = "See its execution in Step Functions. EnrolFleet tries again by itself."


class EnrolmentHalted(HangdumpError):
    """Many instances of one round of EnrolFleet failed with the same error, so it began no further round."""

    next_step = (
        "Remove the cause that the message names. EnrolFleet goes on by itself within the hour, again with few"
        " instances at first."
    )


# The only errors that a document may print; read_document_result knows no others.
DOCUMENT_ERRORS: dict[str, type[HangdumpError]] = {
    error.__name__: error
    for error in (
        InvalidParameter,
        UnsupportedFamily,
        NotNitro,
        NoCrashDumpSupport,
        ReadOnlyRoot,
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
        DumpOnInstance,
        HangRefused,
        HangUnavailable,
        ParkingUnsupported,
        DumpVolumeHoldsDump,
    )
}
