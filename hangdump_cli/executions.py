"""Executions of the state machines: starts one, follows it to its end, and reads the last provisioning of instances."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from hangdump_cli.aws import Aws, Clock
from hangdump_cli.errors import CommandFailed, OutOfTime, code_of, explain, is_transient
from hangdump_cli.output import Progress
from lambdas.runtime import moment

POLL_SECONDS = 5.0
# Executions that a person started have names without an instance, so each must be described.
_MOST_LISTED = 300
_MOST_DESCRIBED = 60
_INSTANCE_ID = re.compile(r"i-[0-9a-f]{17}|i-[0-9a-f]{8}")
RUNNING = "RUNNING"
SUCCEEDED = "SUCCEEDED"


@dataclass(frozen=True)
class Finding:
    """One finding of check_kdump."""

    code: str
    severity: str
    observed: str
    remedy: str


@dataclass(frozen=True)
class Run:
    """An execution that runs."""

    arn: str
    started_at: datetime


@dataclass(frozen=True, kw_only=True)
class Ended:
    """An execution as DescribeExecution shows it; `error` and `cause` are "" unless it failed."""

    arn: str
    status: str
    started_at: datetime
    given: Mapping[str, Any]
    output: Mapping[str, Any]
    error: str = ""
    cause: str = ""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What check_kdump found: in the output of a provisioning, or in the cause of its failure."""
        found = (self.output.get("kdump") or {}).get("findings") if self.output else _findings_in(self.cause)
        return tuple(
            Finding(*(str(each.get(name, "")) for name in ("code", "severity", "observed", "remedy")))
            for each in found or []
            if isinstance(each, Mapping)
        )

    @property
    def words(self) -> str:
        """Why it failed, without the findings."""
        return self.cause.partition(": [")[0]


def start(aws: Aws, machine_arn: str, given: Mapping[str, Any], *, clock: Clock) -> str:
    """The ARN of a new execution. Its name holds the instance, so that it is found again without being described."""
    name = f"{given['instanceId']}-{moment.compact(clock.now())}"
    started = aws.client("stepfunctions").start_execution(
        stateMachineArn=machine_arn, name=name, input=json.dumps(given)
    )
    return str(started["executionArn"])


def describe(aws: Aws, arn: str) -> Ended:
    """As it is now."""
    seen = aws.client("stepfunctions").describe_execution(executionArn=arn)
    return Ended(
        arn=arn,
        status=seen["status"],
        started_at=seen["startDate"],
        given=_object(seen.get("input")),
        output=_object(seen.get("output")),
        error=seen.get("error", ""),
        cause=seen.get("cause", ""),
    )


def follow(aws: Aws, arn: str, *, clock: Clock, progress: Progress, timeout_seconds: float) -> Ended:
    """Its end. Raises OutOfTime; Ctrl-C ends only the waiting, and says so."""
    deadline = clock.now().timestamp() + timeout_seconds
    with naming(f"The execution goes on: {arn}"):
        while True:
            try:
                seen = describe(aws, arn)
                if seen.status != RUNNING:
                    return seen
                progress.step(current_state(aws, arn) or "starting")
            except (ClientError, BotoCoreError) as error:
                # The execution does not notice that nobody can ask.
                if not is_transient(error):
                    raise
                progress.step("AWS does not answer")
            if clock.now().timestamp() >= deadline:
                raise OutOfTime(
                    "It has not ended in time.",
                    "See `hangdump why INSTANCE` later, or give a longer --timeout.",
                )
            clock.sleep(POLL_SECONDS)


@contextmanager
def naming(started: str) -> Iterator[None]:
    """Whatever ends the command names what it has started."""
    try:
        yield
    except (CommandFailed, ClientError, BotoCoreError) as error:
        known = explain(error)
        if known is None:
            raise
        raise CommandFailed(
            f"{known.happened} {started}", known.next_step, name=known.name, exit_code=known.exit
        ) from error
    except KeyboardInterrupt as cut:
        cut.add_note(started)
        raise


@contextmanager
def naming_all(started: Callable[[], Sequence[str]]) -> Iterator[None]:
    """The same of Ctrl-C alone, for many."""
    try:
        yield
    except KeyboardInterrupt as cut:
        if others := started():
            cut.add_note(
                f"So do: {', '.join(others)}" if getattr(cut, "__notes__", ()) else f"Started: {', '.join(others)}"
            )
        raise


def current_state(aws: Aws, arn: str) -> str:
    """The state that an execution entered last; "" if it is in none or may not be read."""
    try:
        history = aws.client("stepfunctions").get_execution_history(
            executionArn=arn, reverseOrder=True, maxResults=20, includeExecutionData=False
        )
    except ClientError as error:
        if code_of(error) not in ("AccessDeniedException", "AccessDenied"):
            raise
        return ""
    for event in history["events"]:
        if "stateEnteredEventDetails" in event:
            return str(event["stateEnteredEventDetails"]["name"])
    return ""


@dataclass(frozen=True)
class LastExecutions:
    """The last execution for each instance. is_complete: an instance without one has none in 90 days."""

    found: Mapping[str, Ended] = field(default_factory=dict)
    is_complete: bool = True


def last_of_each(aws: Aws, machine_arn: str, instance_ids: Sequence[str]) -> LastExecutions:
    """Looks at the last 300 executions of a state machine. Step Functions keeps 90 days."""
    missing, listed, described = set(instance_ids), 0, 0
    found: dict[str, Ended] = {}
    if not missing:
        return LastExecutions()
    pages = aws.pages(
        "stepfunctions",
        "list_executions",
        stateMachineArn=machine_arn,
        PaginationConfig={"PageSize": 100, "MaxItems": _MOST_LISTED},
    )
    for each in (each for page in pages for each in page["executions"]):
        in_name = _INSTANCE_ID.search(each["name"])
        if not missing or described >= _MOST_DESCRIBED:
            break
        listed += 1
        if in_name and in_name[0] not in missing:
            continue
        described += 1
        seen = describe(aws, each["executionArn"])
        instance_id = str(seen.given.get("instanceId", ""))
        if instance_id in missing:
            missing.discard(instance_id)
            found[instance_id] = seen
    return LastExecutions(found, described < _MOST_DESCRIBED and listed < _MOST_LISTED)


def running(aws: Aws, machine_arn: str) -> dict[str, Run]:
    """The executions that run, by their instances; an execution that names none is described. 300 at most."""
    pages = aws.pages(
        "stepfunctions",
        "list_executions",
        stateMachineArn=machine_arn,
        statusFilter=RUNNING,
        PaginationConfig={"PageSize": 100, "MaxItems": _MOST_LISTED},
    )
    found: dict[str, Run] = {}
    for each in (each for page in pages for each in page["executions"]):
        in_name = _INSTANCE_ID.search(each["name"])
        instance_id = in_name[0] if in_name else describe(aws, each["executionArn"]).given.get("instanceId")
        # Without an instance it is a rescue's, or fails at once.
        found.setdefault(str(instance_id or each["name"]), Run(each["executionArn"], each["startDate"]))
    return found


def _object(text: str | None) -> Mapping[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, Mapping) else {}


def _findings_in(cause: str) -> Sequence[Any]:
    """i-0123… is not ready for a crash dump: [{"code": …}]. Follow each remedy, then run this again."""
    start, end = cause.find("["), cause.rfind("]")
    try:
        found = json.loads(cause[start : end + 1]) if 0 <= start < end else []
    except ValueError:
        return []
    return found if isinstance(found, list) else []
