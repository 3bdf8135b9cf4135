"""Why an enrolled instance is ready or not, from its tags, its agent and its last provisioning. Pure."""

from dataclasses import dataclass

from hangdump_cli.executions import RUNNING, SUCCEEDED, Ended
from hangdump_cli.instances import Instance
from lambdas.runtime import errors
from lambdas.runtime.refusal_advice import next_step

READY = "ready"


@dataclass(frozen=True)
class Readiness:
    """`code` is `ready` or why not; `words` say it; `next_step` is what to do, "" for nothing."""

    code: str
    words: str
    next_step: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether a hang would give a dump, as far as the last check knows."""
        return self.code == READY


def judge(instance: Instance, provisioning: Ended | None) -> Readiness:  # noqa: PLR0911 - one for each reason
    """The first reason that holds."""
    again = f"hangdump enrol {instance.instance_id}"
    if not instance.is_enrolled:
        return Readiness("not-enrolled", "not enrolled", again)
    if instance.state != "running":
        return Readiness("not-running", f"the instance is {instance.state}", "Start it.")
    if provisioning is not None and provisioning.status == RUNNING:
        return Readiness("provisioning", "is being provisioned", f"hangdump why {instance.instance_id}, later")
    if instance.disarmed_by:
        words = f"disarmed: the dump of {instance.disarmed_by} showed no hang"
        return Readiness("disarmed", words, next_step("disarmed"))
    if instance.is_marked_ready:
        return Readiness(READY, READY)
    if instance.ping != "Online":
        words = f"its agent is {instance.ping}" if instance.ping else "Systems Manager does not know it"
        return Readiness("agent-not-online", words, errors.InstanceNotManaged.next_step)
    if provisioning is None:
        return Readiness("never-provisioned", "never provisioned, or more than 90 days ago", again)
    return _after(provisioning, again)


def _after(provisioning: Ended, again: str) -> Readiness:
    if provisioning.status != SUCCEEDED:
        name = provisioning.error or provisioning.status
        codes = ", ".join(each.code for each in provisioning.findings if each.severity == "error")
        known = getattr(errors, name, None)
        advice = known.next_step if isinstance(known, type) and issubclass(known, errors.HangdumpError) else again
        return Readiness(name, codes or provisioning.words or name, advice)
    if provisioning.output.get("status") == "reboot-required":
        why_not = str(provisioning.output.get("whyNotReboot") or "")
        return Readiness("reboot-required", "needs a reboot", why_not or f"Reboot it, then: {again}")
    words = "was ready, but the mark is gone: a check or a dump found a fault"
    return Readiness("no-longer-ready", words, again)
