"""Every way in which Hangdump fails, by name.

Owns the names that the state machines catch and that the documents print; owns no recovery.
"""


class HangdumpError(Exception):
    """What happened, with its identifiers, and what to do next; read by a human in a Cause or a notification."""

    def __init__(self, happened: str, next_step: str = "") -> None:
        super().__init__(f"{happened} {next_step}".strip())


class InvalidInput(HangdumpError):
    """An input or event names no instance, a wrong value, or a key that does not exist."""


class InvalidParameter(HangdumpError):
    """A document refused a parameter."""


class InstanceNotFound(HangdumpError):
    """EC2 knows no such instance in this account and Region."""


class InstanceNotRunning(HangdumpError):
    """The instance is stopped, stopping or gone."""


class InstanceNotEnrolled(HangdumpError):
    """The owner has not opted in with the tag hangdump:enrolled=true."""


class InstanceNotManaged(HangdumpError):
    """Systems Manager does not reach the instance."""


class InstanceUnreachable(HangdumpError):
    """A command was accepted by Systems Manager but never reached the instance."""


class UnsupportedHypervisor(HangdumpError):
    """Not a Nitro instance: EC2 cannot send it a diagnostic interrupt."""


class UnsupportedArchitecture(HangdumpError):
    """Neither x86_64 nor arm64."""


class UnsupportedPlatform(HangdumpError):
    """Windows: these documents configure kdump, which is Linux only."""


class UnsupportedFamily(HangdumpError):
    """A Linux distribution that no file under ssm_documents/families covers."""


class NotNitro(HangdumpError):
    """Seen from inside: the instance does not run on KVM/Nitro."""


class NoCrashDumpSupport(HangdumpError):
    """The running kernel is built without CONFIG_CRASH_DUMP."""


class InsufficientMemory(HangdumpError):
    """Less than 1 GiB: no room for a crash kernel."""


class InsufficientBootSpace(HangdumpError):
    """/boot cannot take the crash kernel's initramfs."""


class InstanceTerminatesOnShutdown(HangdumpError):
    """finalAction is poweroff, and EC2 would terminate the instance for it, with its dump half collected."""


class NoFreeDeviceName(HangdumpError):
    """Every device name in /dev/sd[f-p] is taken."""


class DumpVolumeElsewhere(HangdumpError):
    """The instance's dump volume is in another Availability Zone, on another instance, or on its way off this one."""


class SeveralDumpVolumes(HangdumpError):
    """More than one unattached volume claims to be this instance's dump volume."""


class NoDumpVolume(HangdumpError):
    """No volume carries the instance's tag: there is nothing to rescue a vmcore from."""


class DumpVolumeNotFound(HangdumpError):
    """The guest shows no NVMe disk with the dump volume's serial."""


class DeviceHoldsData(HangdumpError):
    """The disk carries a signature, a partition or a mount that is not ours: it is never formatted."""


class DumpVolumeMismatch(HangdumpError):
    """What is mounted as the dump target is not the dump volume."""


class PackageUnavailable(HangdumpError):
    """The guest's package manager cannot get the kdump packages."""


class ConfigurationFailed(HangdumpError):
    """A configuration step failed inside the guest."""


class KdumpNotReady(HangdumpError):
    """Everything is configured, yet the crash kernel or its target is not in place."""


class DocumentFailed(HangdumpError):
    """A document ended without a result that can be read."""


class DocumentTimedOut(HangdumpError):
    """A document did not finish in the time given."""


class VmcoreNotFound(HangdumpError):
    """No vmcore of this crash is on the dump target."""


class VmcoreTooLarge(HangdumpError):
    """S3 takes no object of that size."""


class VmcoreChanged(HangdumpError):
    """The vmcore on the instance is no longer the one that was uploaded: it is not removed."""


class UploadRefused(HangdumpError):
    """S3 answered 403 to the instance."""


class UploadFailed(HangdumpError):
    """The instance could not send every part."""


class UploadIncomplete(HangdumpError):
    """S3 does not hold every part."""


class VmcoreNotIdentical(HangdumpError):
    """The object in S3 is not the vmcore that the instance described."""


class VmcoreUnreadable(HangdumpError):
    """The object in S3 is identical to the file on the instance, and does not open as a kernel dump."""


class BudgetsUnread(HangdumpError):
    """DynamoDB answered without all of the items that the budgets are judged by."""


class DebuginfoNotFound(HangdumpError):
    """No debuginfo of exactly that kernel can be had on the analysis host."""


class SymbolsMismatched(HangdumpError):
    """The debuginfo is of another build of the kernel."""


class InsufficientDiskSpace(HangdumpError):
    """The analysis host has no room for the vmcore."""


class AnalysisFailed(HangdumpError):
    """The analysis host could not fetch the vmcore, read it, or send the result."""


class AnalysisHostRefused(HangdumpError):
    """Not a host that its owner tagged hangdump:analysis-host=true: a vmcore is another machine's memory."""


class BucketRefused(HangdumpError):
    """The vmcore bucket or its key refused us."""


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
