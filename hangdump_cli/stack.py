"""Finds the stack: by the parameter that it writes, or by the outputs of a stack that is named."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from hangdump_cli.aws import Aws
from hangdump_cli.errors import CommandFailed, Exit, StackNotFound, StackParameterUnreadable, StackTooOld, code_of
from lambdas.runtime.stack_parameter import SCHEMA_VERSION, STACK_PARAMETER, Output, StackSettings
from lambdas.runtime.tags import STACK

_UNKNOWN_VERSION = "unknown"


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What the command line knows of the deployment. `settings` is None for a stack that is known by outputs alone."""

    name: str
    version: str = _UNKNOWN_VERSION
    outputs: Mapping[str, str] = field(default_factory=dict)
    settings: StackSettings | None = None

    def __getitem__(self, output: Output) -> str:
        value = self.outputs.get(output.value)
        if not value:
            raise StackTooOld(f"The stack {self.name} has no output {output.value}.", "Deploy the stack again.")
        return value

    def require_settings(self) -> StackSettings:
        """Raises StackTooOld."""
        if self.settings is None:
            raise StackTooOld(
                f"The settings of the stack {self.name} are unknown: no parameter {STACK_PARAMETER} is its own.",
                "Deploy the stack again, of this version or a newer one.",
            )
        return self.settings


def find_stack(aws: Aws, name: str) -> Stack:
    """`name` is empty unless the user named a stack. Raises StackNotFound, StackTooOld and errors of AWS."""
    described = _read_parameter(aws, is_required=not name)
    if described is not None and name in ("", described.name):
        return described
    return _from_outputs(aws, name or STACK)


def parse(text: str) -> Stack:
    """The parameter's JSON. Raises CommandFailed when a newer stack wrote it."""
    content = _content(text)
    if content["schemaVersion"] > SCHEMA_VERSION:
        raise CommandFailed(
            f"The stack {content['stackName']} is newer than this hangdump: it has version {content['version']}.",
            "Install that version: `pipx install --force` from the same repository.",
            name="CommandLineTooOld",
            exit_code=Exit.NO_ACCESS,
        )
    try:
        settings = StackSettings.read(content["settings"])
    except (KeyError, TypeError):
        settings = None
    return Stack(name=content["stackName"], version=content["version"], outputs=content["outputs"], settings=settings)


def _content(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    wanted = {"schemaVersion": int, "version": str, "stackName": str, "outputs": dict, "settings": dict}
    if not isinstance(content, dict) or not all(isinstance(content.get(name), kind) for name, kind in wanted.items()):
        raise StackParameterUnreadable(
            f"The parameter {STACK_PARAMETER} does not describe a stack: {text}",
            "Deploy the stack again, which writes it, or name the stack with --stack.",
        )
    return content


def _read_parameter(aws: Aws, *, is_required: bool) -> Stack | None:
    try:
        text = aws.client("ssm").get_parameter(Name=STACK_PARAMETER)["Parameter"]["Value"]
    except ClientError as error:
        if code_of(error) == "ParameterNotFound" or not is_required:
            return None
        raise
    try:
        return parse(text)
    except StackParameterUnreadable:
        if is_required:
            raise
        return None


def _from_outputs(aws: Aws, name: str) -> Stack:
    try:
        (stack,) = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if code_of(error) != "ValidationError":
            raise
        raise StackNotFound(
            f"There is no stack {name} in the Region {aws.region} of this account.",
            "Deploy it with `make deploy`, choose another --region or --profile, or name the stack with --stack.",
        ) from error
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    if Output.INCIDENT_TABLE.value not in outputs:
        raise StackNotFound(
            f"The stack {name} is not Hangdump's: it has no output {Output.INCIDENT_TABLE.value}.",
            "Name Hangdump's stack with --stack.",
        )
    return Stack(name=name, outputs=outputs)
