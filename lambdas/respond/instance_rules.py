"""Rules about the instance itself: it is enrolled, can dump, has booted, and its host is healthy."""

from lambdas.respond.decision import PANICKED, Decision, Evidence, Policy, missing, refusal
from lambdas.runtime import moment
from lambdas.runtime.tags import DISARMED_TAG, ENROLLED_TAG, READY_TAG

_PROVE = "Run ProvisionDumpVolume for it, or wait for the next sweep, which checks it again."


def _known(evidence: Evidence, _: Policy) -> Decision | None:
    if evidence.is_instance_known is None:
        return missing("whether the instance exists", evidence)
    if not evidence.is_instance_known:
        return refusal("instance-unknown", "EC2 knows no such instance in this account and Region.")
    return None


def _enrolled(evidence: Evidence, _: Policy) -> Decision | None:
    if evidence.is_enrolled is None:
        return missing("the instance's tags", evidence)
    if not evidence.is_enrolled:
        return refusal("not-enrolled", f"The instance is not tagged {ENROLLED_TAG}=true.")
    return None


def _disarmed(evidence: Evidence, policy: Policy) -> Decision | None:
    if policy.is_requested:
        return None
    if evidence.is_disarmed is None:
        return missing("the instance's tags", evidence)
    if evidence.is_disarmed:
        return refusal("disarmed", f"It is tagged {DISARMED_TAG}: its last dump showed no hang.")
    return None


def _ready(evidence: Evidence, policy: Policy) -> Decision | None:
    if evidence.ready_epoch is None:
        return missing("the instance's tags", evidence)
    if not evidence.ready_epoch:
        return refusal("not-ready", f"The instance has no tag {READY_TAG}: run ProvisionDumpVolume first.")
    age = evidence.now_epoch - evidence.ready_epoch
    if age < -moment.CLOCK_SLACK_SECONDS:
        return refusal("ready-stale", f"The tag {READY_TAG} lies {-age} s in the future. {_PROVE}")
    seen, proven = evidence.console_ready_config, evidence.ready_config
    if seen and proven and seen != proven:
        detail = f"It booted with the kdump configuration {seen}, but {proven} was proven. {_PROVE}"
        return refusal("ready-stale", detail)
    if 0 < policy.ready_max_age_seconds < age:
        limit = f"the limit is {policy.ready_max_age_seconds} s"
        return refusal("ready-stale", f"It was seen ready {age} s ago; {limit}. {_PROVE}")
    return None


def _parked(evidence: Evidence, _: Policy) -> Decision | None:
    if evidence.missing_snapshot is None:
        return missing("whether its dump volume is parked", evidence)
    if evidence.missing_snapshot:
        detail = f"Its dump volume is parked as {evidence.missing_snapshot}, which is gone: run ProvisionDumpVolume."
        return refusal("not-ready", detail)
    return None


def _running(evidence: Evidence, _: Policy) -> Decision | None:
    if evidence.instance_state is None:
        return missing("the instance's state", evidence)
    if evidence.instance_state != "running":
        return refusal("not-running", f"The instance is {evidence.instance_state}.")
    return None


def _hypervisor(evidence: Evidence, _: Policy) -> Decision | None:
    # "All Nitro-based instance types, except Graviton" (EC2 User Guide, 2026); bare metal types report no hypervisor.
    if evidence.hypervisor is None:
        return missing("the instance type's hypervisor", evidence)
    if evidence.hypervisor not in ("nitro", "bare-metal"):
        return refusal("unsupported-hypervisor", f"The hypervisor is {evidence.hypervisor}, not nitro.")
    return None


def _architecture(evidence: Evidence, _: Policy) -> Decision | None:
    if evidence.architectures is None:
        return missing("the instance type's architecture", evidence)
    if "x86_64" not in evidence.architectures:
        seen = ", ".join(evidence.architectures) or "unknown"
        return refusal("unsupported-architecture", f"The architecture is {seen}, not x86_64.")
    return None


def _dump_under_way(evidence: Evidence, _: Policy) -> Decision | None:
    # A kernel that panics on its own also fails the instance check. An interrupt now would kill the dump it writes.
    if evidence.open_incident is None:
        return missing("whether an incident of the instance is open", evidence)
    if evidence.open_incident:
        return refusal("incident-open", f"The dump of the incident {evidence.open_incident} is not concluded.")
    if evidence.is_crash_kernel is None:
        return missing("the console", evidence)
    if evidence.is_crash_kernel:
        return refusal(PANICKED, "The console shows a panic or a dump, and no boot after it.")
    return None


def _booted(evidence: Evidence, policy: Policy) -> Decision | None:
    """The boot is old enough for the crash kernel to be loaded, and readiness was checked after it."""
    facts = (evidence.launched_epoch, evidence.console_booted_epoch, evidence.is_booting)
    if any(fact is None for fact in facts):
        return missing("when the instance booted", evidence)
    if evidence.is_booting:
        return refusal("boot-grace", "The console shows a boot without a date yet: it is booting, or hung in the boot.")
    since = evidence.now_epoch - evidence.booted_epoch
    if since < policy.boot_grace_seconds:
        return refusal("boot-grace", f"It booted {since} s ago; the grace is {policy.boot_grace_seconds} s.")
    if policy.is_ready_across_boots or _is_proven_by_boot(evidence):
        return None
    if (evidence.ready_epoch or 0) >= evidence.booted_epoch:
        return None
    at = moment.iso(moment.at_epoch(evidence.booted_epoch))
    return refusal("ready-stale", f"It booted at {at}, after it was seen ready. {_PROVE}")


def _kernel(evidence: Evidence, _: Policy) -> Decision | None:
    ready, seen = evidence.ready_kernel, evidence.console_kernel
    if ready is None or seen is None:
        return missing("which kernel the instance runs", evidence)
    if ready and seen and ready != seen and not _is_proven_by_boot(evidence):
        return refusal("ready-stale", f"It was seen ready with the kernel {ready}, but {seen} has booted. {_PROVE}")
    return None


def _is_proven_by_boot(evidence: Evidence) -> bool:
    """The last boot has said on the console that kdump is loaded, with the configuration that was proven."""
    return bool(evidence.ready_config) and evidence.console_ready_config == evidence.ready_config


def _system_check(evidence: Evidence, _: Policy) -> Decision | None:
    # `impaired` is a host failure: EC2's recovery handles that. `insufficient-data` is doubt, and doubt refuses.
    if evidence.system_status is None:
        return missing("the system status check", evidence)
    if evidence.system_status != "ok":
        return refusal(
            "system-check-failed",
            f"The system status check is {evidence.system_status}, not ok: the host, not the kernel, may be at fault.",
        )
    return None


def _attached_ebs_check(evidence: Evidence, _: Policy) -> Decision | None:
    # Not every type has this check, so `not-applicable` is fine. Without a working disk no dump can be written.
    if evidence.attached_ebs_status is None:
        return missing("the attached EBS status check", evidence)
    if evidence.attached_ebs_status not in ("ok", "not-applicable"):
        return refusal(
            "ebs-check-failed",
            f"The attached EBS status check is {evidence.attached_ebs_status}, not ok: a volume does not answer.",
        )
    return None


RULES = (
    _known,
    _enrolled,
    _running,
    _dump_under_way,
    _disarmed,
    _ready,
    _parked,
    _hypervisor,
    _architecture,
    _system_check,
    _attached_ebs_check,
    _booted,
    _kernel,
)
