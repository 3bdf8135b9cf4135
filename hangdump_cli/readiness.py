"""Why an enrolled instance is ready or not: its tags by the stack's rules, its alarm, agent and executions. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from hangdump_cli import preview
from hangdump_cli.advice import by_command, next_step
from hangdump_cli.executions import RUNNING, SUCCEEDED, Ended, LastExecutions, Run
from hangdump_cli.instances import Instance
from hangdump_cli.text import moment_of
from lambdas.runtime import errors
from lambdas.runtime.stack_parameter import StackSettings
from lambdas.runtime.tags import hang_alarm_name

READY = "ready"
_STATES = {
    "pending": "Wait until it runs.",
    "stopping": "Wait until it is stopped, then start it.",
    "stopped": "Start it.",
}


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


@dataclass(frozen=True, kw_only=True)
class Judge:
    """What the judgement of every instance needs. `settings` is None for a stack whose settings are unknown."""

    settings: StackSettings | None
    now: datetime
    alarms: Collection[str]
    collections: dict[str, Run]

    def judge(self, instance: Instance, provisionings: LastExecutions | None = None) -> Readiness:  # noqa: PLR0911 - one for each reason
        """The first reason that holds. Without `provisionings`, an instance without a mark is `never-provisioned`."""
        again = f"hangdump enrol {instance.instance_id}"
        last = provisionings.found.get(instance.instance_id) if provisionings else None
        if run := self.collections.get(instance.instance_id):
            words = f"being collected since {moment_of(run.started_at)}"
            return Readiness("being-collected", words, "Wait for its verdict: hangdump incidents")
        if not instance.is_enrolled:
            return Readiness("not-enrolled", "not enrolled", again)
        if instance.state != "running":
            todo = _STATES.get(instance.state, "Nothing: it will not come back.")
            return Readiness("not-running", f"the instance is {instance.state}", todo)
        if last is not None and last.status == RUNNING:
            return Readiness("provisioning", "is being provisioned", f"hangdump why {instance.instance_id}, later")
        if instance.disarmed_by:
            words = f"disarmed: the dump of {instance.disarmed_by} showed no hang"
            return Readiness("disarmed", words, next_step("disarmed", instance.instance_id))
        if instance.is_marked_ready:
            return self._marked(instance, again)
        if instance.ping != "Online":
            words = f"its agent is {instance.ping}" if instance.ping else "Systems Manager does not know it"
            return Readiness("agent-not-online", words, errors.InstanceNotManaged.next_step)
        if last is not None:
            return outcome(last, instance.instance_id, is_mark_gone=True)
        if provisionings is not None and not provisionings.is_complete:
            words = "not marked ready; its last provisioning is too long ago to be found"
            return Readiness("provisioning-unknown", words, again)
        return Readiness("never-provisioned", "never provisioned, or more than 90 days ago", again)

    def _marked(self, instance: Instance, again: str) -> Readiness:
        settings = self.settings
        if settings and (stale := preview.why_stale(instance, settings, self.now)):
            return Readiness("ready-stale", stale, again)
        if (alarm := hang_alarm_name(instance.instance_id)) not in self.alarms:
            return Readiness("no-alarm", f"its alarm {alarm} is missing", again)
        if settings and preview.depends_on_console(instance, settings):
            return Readiness(READY, "ready, if the console shows that its last boot loaded kdump")
        return Readiness(READY, READY)


def outcome(execution: Ended, instance_id: str, *, is_mark_gone: bool = False) -> Readiness:
    """How a provisioning ended. `is_mark_gone`: the instance has no tag hangdump:ready any more."""
    again = f"hangdump enrol {instance_id}"
    if execution.status != SUCCEEDED:
        name = execution.error or execution.status
        codes = ", ".join(each.code for each in execution.findings if each.severity == "error")
        known = getattr(errors, name, None)
        advice = known.next_step if isinstance(known, type) and issubclass(known, errors.HangdumpError) else again
        return Readiness(name, codes or execution.words or name, by_command(advice, instance_id))
    if execution.output.get("status") == "reboot-required":
        why_not = str(execution.output.get("whyNotReboot") or "")
        return Readiness("reboot-required", "needs a reboot", why_not or f"Reboot it, then: {again}")
    if is_mark_gone:
        return Readiness("no-longer-ready", "was ready, but the mark is gone: a check or a dump found a fault", again)
    return Readiness(READY, READY)
