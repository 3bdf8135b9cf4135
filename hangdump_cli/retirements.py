"""Retires instances by RetireInstance: starts the executions, follows each to its end, and words how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from hangdump_cli import executions
from hangdump_cli.errors import CommandFailed, Exit, OutOfTime, explain
from hangdump_cli.executions import SUCCEEDED, Ended
from hangdump_cli.instances import Instance
from hangdump_cli.invocation import Invocation
from hangdump_cli.output import Progress
from lambdas.runtime import errors
from lambdas.runtime.stack_parameter import Output

# As for enrolments: each execution reads and tags with the account's request rates.
_SECONDS_BETWEEN_STARTS = 0.5
# What RetireInstance refuses so that no dump is lost.
_REFUSALS = {
    each.__name__ for each in (errors.DumpOnInstance, errors.IncidentUnfinished, errors.ProvisioningInProgress)
}


@dataclass(frozen=True)
class Retirement:
    """How it ended for one instance. `ended` is None while it runs, and when it could not be started or followed."""

    instance: Instance
    arn: str = ""
    ended: Ended | None = None
    failure: CommandFailed | None = None

    @property
    def is_retired(self) -> bool:
        """Whether all is undone that can be."""
        return self.ended is not None and self.ended.status == SUCCEEDED

    @property
    def volume(self) -> Mapping[str, Any]:
        """{"volumeId", "action", "reason"}: what became of the dump volume."""
        return self.ended.output.get("volume") or {} if self.ended else {}

    @property
    def kept(self) -> list[tuple[str, str]]:
        """The dump volumes that are still there, and why."""
        others = self.ended.output.get("otherVolumes") or [] if self.ended else []
        mine = [self.volume] if self.volume.get("action") == "kept" else []
        return [(str(each.get("volumeId", "")), str(each.get("reason", ""))) for each in (*mine, *others)]

    @property
    def left(self) -> list[Mapping[str, Any]]:
        """What somebody else changed on the host since: it stays as it is."""
        host = self.ended.output.get("host") or {} if self.ended else {}
        return list(host.get("left") or [])

    @property
    def error(self) -> CommandFailed | None:
        """Why it is not retired."""
        if self.failure is not None or self.ended is None or self.is_retired:
            return self.failure
        name = self.ended.error or self.ended.status
        return CommandFailed(
            self.ended.cause or f"The execution ended as {self.ended.status}.",
            _next_step(name, self.arn),
            name=name,
            exit_code=Exit.REFUSED if name in _REFUSALS else Exit.NOT_GOOD,
        )

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        error = self.error
        host = self.ended.output.get("host") or {} if self.ended else {}
        return {
            "instanceId": self.instance.instance_id,
            "name": self.instance.name,
            "executionArn": self.arn,
            "isRetired": self.is_retired,
            "error": error.name if error else "",
            "message": error.happened if error else "",
            "next": error.next_step if error else "",
            "kdump": str(host.get("kdump", "")),
            "bytesGivenBack": int(host.get("bytesGivenBack") or 0),
            "left": self.left,
            "deletedVolume": self.volume.get("volumeId", "") if self.volume.get("action") == "deleted" else "",
            "keptVolumes": [{"volumeId": volume, "reason": reason} for volume, reason in self.kept],
        }


def _next_step(name: str, arn: str) -> str:
    known = getattr(errors, name, None)
    if isinstance(known, type) and issubclass(known, errors.HangdumpError):
        return known.next_step
    return f"See {arn} in Step Functions, then retire the instance again."


def start_all(run: Invocation, found: Sequence[Instance], progress: Progress) -> list[Retirement]:
    """One after the other; goes on after one that cannot be started."""
    machine = run.stack[Output.RETIRE_INSTANCE]
    results: list[Retirement] = []
    with executions.naming_all(lambda: [each.arn for each in results if each.arn]):
        for number, each in enumerate(found, start=1):
            if number > 1:
                progress.step(f"starting {number} of {len(found)}")
                run.clock.sleep(_SECONDS_BETWEEN_STARTS)
            try:
                arn = executions.start(run.aws, machine, {"instanceId": each.instance_id}, clock=run.clock)
            except (ClientError, BotoCoreError) as error:
                results.append(Retirement(each, failure=explain(error)))
            else:
                results.append(Retirement(each, arn))
    return results


def follow_all(
    run: Invocation, started: Sequence[Retirement], progress: Progress, *, timeout_seconds: float
) -> list[Retirement]:
    """They run side by side; each is waited for in turn. What is out of time goes on."""
    deadline = run.clock.now().timestamp() + timeout_seconds
    results: list[Retirement] = []
    with executions.naming_all(lambda: [each.arn for each in started[len(results) + 1 :] if each.arn]):
        for number, each in enumerate(started, start=1):
            name = each.instance.instance_id
            which = f"{name} ({number} of {len(started)})" if len(started) > 1 else name
            named = Progress(lambda text, which=which: progress.step(f"{which}: {text}"))
            left = max(0.0, deadline - run.clock.now().timestamp())
            results.append(_follow(run, each, named, timeout_seconds=left) if each.arn else each)
    return results


def _follow(run: Invocation, each: Retirement, progress: Progress, *, timeout_seconds: float) -> Retirement:
    try:
        ended = executions.follow(
            run.aws, each.arn, clock=run.clock, progress=progress, timeout_seconds=timeout_seconds
        )
    except CommandFailed as error:
        return Retirement(each.instance, each.arn, failure=error)
    return Retirement(each.instance, each.arn, ended)


def exit_code(results: Sequence[Retirement], *, is_waited_for: bool) -> Exit:
    """0 all are retired, 5 all others still run, else 1."""
    errors_left = [each.error for each in results if each.error]
    running = [each for each in results if not each.is_retired and not each.error]
    if not errors_left:
        return Exit.OUT_OF_TIME if running and is_waited_for else Exit.OK
    return Exit.OUT_OF_TIME if all(isinstance(each, OutOfTime) for each in errors_left) else Exit.NOT_GOOD
