"""`hangdump doctor`: is the stack reached, may the user do what the commands do, and is there room for more?"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from hangdump_cli import executions, incidents, instances
from hangdump_cli.aws import Aws
from hangdump_cli.command import Command, interruptible
from hangdump_cli.errors import CommandFailed, Exit, code_of, explain
from hangdump_cli.invocation import Invocation
from hangdump_cli.kill_switch import read_interrupts
from hangdump_cli.quotas import read_quotas
from hangdump_cli.rights import Right, rights, simulate
from hangdump_cli.stack import Stack
from hangdump_cli.text import Table
from lambdas.runtime.errors import InstanceNotManaged
from lambdas.runtime.stack_parameter import BOOTSTRAP_PARAMETER, BOOTSTRAP_VERSION, VERSION, Output

# A quota that is used up to this share is worth a word.
_NEARLY_FULL = 0.9
_HEALTHY_STACK = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")


class Result(StrEnum):
    """How a check ended. A note is no fault: a viewer needs no right to start anything."""

    OK = "ok"
    NOTE = "note"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Check:
    """One line of the answer."""

    name: str
    result: Result
    detail: str
    next_step: str = ""


@click.command(cls=Command, short_help="Check credentials, permissions, quotas, agents.")
@click.pass_obj
@interruptible
def doctor(run: Invocation) -> int:
    """Check credentials, Region, endpoints, bootstrap, stack, permissions, quotas and agents. Changes nothing."""
    found: list[Check] = []
    with run.output.progress("Checking") as progress:
        for each in _checks(run):
            progress.step(each.name)
            found.append(each)
    rows = [(each.result, each.name, each.detail, each.next_step) for each in found]
    content = {
        "checks": [
            {"name": each.name, "result": each.result.lower(), "detail": each.detail, "next": each.next_step}
            for each in found
        ]
    }
    run.output.answer("doctor", content, [Table(("", "CHECK", "FOUND", "NEXT"), rows)])
    return Exit.NOT_GOOD if any(each.result == Result.FAIL for each in found) else Exit.OK


def _checks(run: Invocation) -> Iterator[Check]:
    """Later checks are left out when what they need is missing."""
    aws = run.aws
    region = yield from _attempt("Region", lambda: aws.region, aws=None)
    if region is None:
        return
    identity = yield from _attempt("credentials", lambda: aws.client("sts").get_caller_identity(), aws=aws, say=_who)
    if identity is None:
        return
    yield from _attempt("bootstrap", lambda: _bootstrap(aws), aws=aws)
    stack = yield from _attempt("stack", lambda: run.stack, aws=aws, say=lambda found: f"{found.name} {found.version}")
    if stack is None:
        return
    yield _version(stack)
    yield from _attempt("stack status", lambda: _stack_status(aws, stack), aws=aws)
    yield from _attempt("kill switch", lambda: read_interrupts(aws), aws=aws)
    fleet = yield from _reads(aws, stack)
    yield from _attempt("S3 endpoint", lambda: _reach_bucket(aws, stack), aws=aws)
    arn = identity["Arn"]
    answers = yield from _attempt(
        "permissions",
        lambda: simulate(aws, arn, rights(aws, stack, arn)),
        aws=aws,
        say=lambda each: f"{len(each)} asked",
    )
    yield from (_right(right, is_allowed) for right, is_allowed in answers or ())
    if fleet is not None:
        yield _agents(fleet)
    yield from _quotas(aws)


def _attempt(
    name: str, read: Callable[[], Any], *, aws: Aws | None, say: Callable[[Any], str] = str
) -> Generator[Check, None, Any]:
    """Yields the check; returns what was read, None if it could not be read."""
    try:
        value = read()
    except (CommandFailed, ClientError, BotoCoreError) as error:
        failed = explain(error, region=aws.region if aws else "")
        assert failed is not None  # noqa: S101 - these three are always explained
        yield Check(name, Result.FAIL, failed.happened, failed.next_step)
        return None
    yield Check(name, Result.OK, say(value))
    return value


def _who(identity: dict[str, Any]) -> str:
    return f"{identity['Arn']}, account {identity['Account']}"


def _bootstrap(aws: Aws) -> str:
    missing = "Run `make bootstrap` before the next `make deploy`."
    try:
        version = int(aws.client("ssm").get_parameter(Name=BOOTSTRAP_PARAMETER)["Parameter"]["Value"])
    except ClientError as error:
        if code_of(error) != "ParameterNotFound":
            raise
        raise CommandFailed("The CDK is not bootstrapped here.", missing) from error
    if version < BOOTSTRAP_VERSION:
        raise CommandFailed(f"The CDK's bootstrap has version {version}; {BOOTSTRAP_VERSION} is needed.", missing)
    return f"version {version}"


def _version(stack: Stack) -> Check:
    if stack.version == VERSION:
        return Check("versions", Result.OK, f"stack and hangdump are {VERSION}")
    return Check(
        "versions",
        Result.NOTE,
        f"the stack is {stack.version}, hangdump {VERSION}",
        "Deploy the stack again, or install hangdump from the same commit.",
    )


def _stack_status(aws: Aws, stack: Stack) -> str:
    (described,) = aws.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"]
    status = str(described["StackStatus"])
    if status not in _HEALTHY_STACK:
        raise CommandFailed(f"The stack is {status}.", "Run `make deploy`: it says what to do about it.")
    return status


def _reads(aws: Aws, stack: Stack) -> Generator[Check, None, list[instances.Instance] | None]:
    """Each service that the commands read; returns the fleet. The call itself is the proof of the right."""
    fleet: list[instances.Instance] | None = yield from _attempt(
        "EC2 and Systems Manager", lambda: instances.enrolled(aws), aws=aws, say=lambda each: f"{len(each)} enrolled"
    )
    yield from _attempt(
        "DynamoDB", lambda: incidents.newest(aws, stack, most=1), aws=aws, say=lambda _: "the table can be read"
    )
    yield from _attempt(
        "Step Functions",
        lambda: executions.running(aws, stack[Output.PROVISION_DUMP_VOLUME]),
        aws=aws,
        say=lambda each: f"{len(each)} provisionings run",
    )
    return fleet


def _reach_bucket(aws: Aws, stack: Stack) -> str:
    try:
        aws.client("s3").head_bucket(Bucket=stack[Output.VMCORE_BUCKET])
    except ClientError as error:
        # The answer to HEAD has no body, so the SDK knows only the status.
        if code_of(error) not in ("403", "AccessDenied"):
            raise
    return "reached"


def _right(right: Right, is_allowed: bool | str) -> Check:
    name = f"may {right.purpose}"
    if is_allowed is True:
        return Check(name, Result.OK, "yes")
    if is_allowed:
        return Check(name, Result.NOTE, f"unknown: {is_allowed}", "Ask an administrator.")
    return Check(name, Result.NOTE, f"no: {right.action} is denied", right.next_step)


def _agents(fleet: Sequence[instances.Instance]) -> Check:
    silent = [each.instance_id for each in fleet if each.state == "running" and each.ping != "Online"]
    if not silent:
        return Check("agents", Result.OK, "every running enrolled instance is online")
    return Check("agents", Result.FAIL, f"not online: {', '.join(silent)}", InstanceNotManaged.next_step)


def _quotas(aws: Aws) -> Iterator[Check]:
    found = yield from _attempt("quotas", lambda: read_quotas(aws), aws=aws, say=lambda each: f"{len(each)} read")
    for quota in (found or {}).values():
        if quota.limit is None:
            yield Check(f"quota: {quota.name}", Result.NOTE, str(quota), "See Service Quotas in the console.")
        elif quota.used >= _NEARLY_FULL * quota.limit and not quota.is_certain:
            yield Check(f"quota: {quota.name}", Result.NOTE, str(quota), "Compare it with Service Quotas.")
        elif quota.used >= _NEARLY_FULL * quota.limit:
            yield Check(f"quota: {quota.name}", Result.FAIL, str(quota), "Ask for more in Service Quotas.")
        else:
            yield Check(f"quota: {quota.name}", Result.OK, str(quota))
