"""Runs a document on an instance: sends the command, waits for its end, reads its result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation import grants
from infra.foundation.documents import Documents
from infra.foundation.functions import Function, FunctionDefaults
from infra.settings import Settings
from infra.states.poll import Poll, Polling, polling
from infra.states.tasks import ApiCall, FunctionCall, name_error, task
from lambdas.runtime.document_settings import LATEST_VERSION
from lambdas.runtime.errors import DocumentTimedOut

# How long the agent may take to fetch a command. The instance answered a moment ago.
DELIVERY_SECONDS = 300

_STILL_RUNNING = ("Pending", "InProgress", "Delayed", "Cancelling")
_KEPT_FIELDS = (
    *("CommandId", "InstanceId", "DocumentName", "Status", "StatusDetails"),
    *("ResponseCode", "StandardOutputContent", "StandardErrorContent"),
)


# Of a document that takes seconds. All loops of an execution share its history.
SHORT_MAX_POLLS = 40


@dataclass(frozen=True)
class Command:
    """A document, its parameters (an object, or a JSONPath expression that yields one) and how long it may take."""

    verb_phrase: str
    parameters: Mapping[str, Any] | str
    timeout_seconds: int
    max_polls: int = 200
    # A function that replaces GetCommandInvocation: it answers the same, and may add more.
    check: FunctionCall | None = None


@dataclass(frozen=True)
class Paths:
    """Paths in the execution's state: the instance's id, the result, and the failure."""

    instance_id: str
    result: str
    failure: str
    # For the logs; ProvisionDumpVolume has no incident.
    incident_id: str | None = None


class DocumentRunner(Construct):
    """The documents, and the function read_document_result."""

    def __init__(
        self, scope: Construct, construct_id: str, *, documents: Documents, shared: FunctionDefaults, settings: Settings
    ) -> None:
        super().__init__(scope, construct_id)
        self.documents = documents
        self.poll_seconds = settings.poll_seconds
        self.read_document_result = Function(self, "read_document_result", shared=shared)

    def polling(self, command: Command) -> Polling:
        """The polls of one command."""
        return polling(command.timeout_seconds + DELIVERY_SECONDS, self.poll_seconds, max_polls=command.max_polls)

    def statements(self, scope: Construct, verb_phrases: list[str]) -> list[iam.PolicyStatement]:
        """Run these documents, only on enrolled instances."""
        return [
            *grants.send_command(cdk.Stack.of(scope), [self.documents.name(each) for each in verb_phrases]),
            grants.invoke(self.read_document_result),
        ]


class RunDocument(sfn.StateMachineFragment):
    """SendCommand → wait → GetCommandInvocation, again and again → read_document_result."""

    def __init__(self, scope: Construct, title: str, *, runner: DocumentRunner, command: Command, paths: Paths) -> None:
        super().__init__(scope, f"Run {title}")
        self._send = task(self, title, _send_command(runner, command, paths), result_path="$.command")
        check = command.check or _get_invocation(paths)
        get = task(self, f"{title} (get invocation)", check, result_path="$.invocation")
        payload = {
            "document": _result_of(command),
            "invocation.$": "$.invocation",
            "instanceId.$": paths.instance_id,
            "executionName.$": "$$.Execution.Name",
        }
        if paths.incident_id is not None:
            payload["incidentId.$"] = paths.incident_id
        call = FunctionCall(runner.read_document_result, payload)
        self._read = task(self, f"{title} (read result)", call, result_path=paths.result)
        self._out_of_time = name_error(
            self,
            f"{title} (give up)",
            DocumentTimedOut,
            f"'{command.verb_phrase} did not end on {{}} in {command.timeout_seconds} s. "
            f"See the command {{}} in Run Command, then try again.', {paths.instance_id}, $.command.commandId",
            result_path=paths.failure,
        )
        is_running = sfn.Condition.or_(*(sfn.Condition.string_equals("$.invocation.Status", s) for s in _STILL_RUNNING))
        self._poll = Poll(self, title, check=get, polling=runner.polling(command))
        self._poll.ends_when(sfn.Condition.not_(is_running), self._read).gives_up(self._out_of_time)
        self._send.next(self._poll.start_state)
        self._tasks = [self._send, get, self._read]
        self._paths = paths

    def on_failure(self, handler: sfn.IChainable, *, errors: list[str] | None = None) -> "RunDocument":
        """Sends every failure of the fragment to `handler`; with `errors`, only these errors of the result."""
        if errors is not None:
            self._read.add_catch(handler, errors=errors, result_path=self._paths.failure)
            return self
        for each in self._tasks:
            each.add_catch(handler, errors=["States.ALL"], result_path=self._paths.failure)
        self._out_of_time.next(handler)
        return self

    @property
    def start_state(self) -> sfn.State:
        """The state that sends the command."""
        return self._send

    @property
    def end_states(self) -> list[sfn.INextable]:
        """The state that has read the result."""
        return [self._read]


def _result_of(command: Command) -> str:
    """The name of the result's model: "check_kdump", "upload_vmcore find"."""
    actions = command.parameters.get("action", []) if isinstance(command.parameters, Mapping) else []
    return " ".join([command.verb_phrase, *actions])


def _send_command(runner: DocumentRunner, command: Command, paths: Paths) -> ApiCall:
    parameters: dict[str, Any] = {
        "DocumentName": runner.documents.name(command.verb_phrase),
        "DocumentVersion": LATEST_VERSION,
        "InstanceIds.$": f"States.Array({paths.instance_id})",
        "TimeoutSeconds": DELIVERY_SECONDS,
        "Comment": f"Hangdump {command.verb_phrase}",
    }
    if isinstance(command.parameters, str):
        parameters["Parameters.$"] = command.parameters
    else:
        parameters["Parameters"] = dict(command.parameters)
    return ApiCall("ssm", "sendCommand", parameters, {"commandId.$": "$.Command.CommandId"})


def _get_invocation(paths: Paths) -> ApiCall:
    parameters = {"CommandId.$": "$.command.commandId", "InstanceId.$": paths.instance_id}
    # Keep only what read_document_result needs: an execution's state may not exceed 256 KiB.
    return ApiCall("ssm", "getCommandInvocation", parameters, {f"{name}.$": f"$.{name}" for name in _KEPT_FIELDS})
