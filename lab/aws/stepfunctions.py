"""Step Functions: moto's interpreter, with the names, formats and start semantics of AWS. Owns no state machine."""

import base64
import copy
import json
import re
import threading
import uuid
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.stepfunctions.exceptions import InvalidName
from moto.stepfunctions.parser.api import ExecutionStatus, HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.assign.assign_decl import AssignDecl
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.parargs import Parargs
from moto.stepfunctions.parser.asl.component.common.path.result_path import ResultPath
from moto.stepfunctions.parser.asl.component.common.result_selector import ResultSelector
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.common.string.string_expression import StringVariableSample
from moto.stepfunctions.parser.asl.component.state import state as state_module
from moto.stepfunctions.parser.asl.component.state.choice.comparison.comparison_operator_type import (
    ComparisonOperatorType,
)
from moto.stepfunctions.parser.asl.component.state.choice.comparison.comparison_variable import ComparisonVariable
from moto.stepfunctions.parser.asl.component.state.choice.comparison.variable import NoSuchVariable
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.exec.state_map.item_reader.item_reader_decl import ItemReader
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_lambda
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_lambda import StateTaskLambda
from moto.stepfunctions.parser.asl.component.state.fail import state_fail
from moto.stepfunctions.parser.asl.component.state.wait.wait_function import timestamp
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from moto.stepfunctions.responses import StepFunctionResponse

from lab.aws import json_path
from lab.aws.patches import Patches
from lab.aws.state import AccountState, utc_now

# As the SDK for Java v2 names its clients: the first half of an error's name. (ec2, ssm: from memory; others: inferred)
SERVICE_NAMES = {
    "cloudwatch": "CloudWatch",
    "dynamodb": "DynamoDb",
    "ec2": "Ec2",
    "eventbridge": "EventBridge",
    "kms": "Kms",
    "lambda": "Lambda",
    "s3": "S3",
    "sfn": "Sfn",
    "sns": "Sns",
    "sqs": "Sqs",
    "ssm": "Ssm",
    "sts": "Sts",
}
_FORBIDDEN_IN_NAMES = re.compile(r'[\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]')


# Quotas of Step Functions: "Maximum input or output size for a task, state, or execution".
MOST_STATE_BYTES = 262_144
MOST_EVENTS = 25_000
_TOO_MANY_EVENTS = f"The execution reached the maximum number of history events ({MOST_EVENTS})."
# No Retry and no Catch has an effect on them, not even States.ALL.
_UNCATCHABLE = ("States.DataLimitExceeded", "States.Runtime")
_VARIABLE = re.compile(r"\$[A-Za-z_]\w*")


def install(patches: Patches, state: AccountState) -> None:
    json_path.install(patches)
    _install_variables(patches)
    _install_error_names(patches)
    _install_lambda_errors(patches)
    _install_results(patches)
    _install_user_data(patches)
    _install_own_integration(patches)
    _install_fail(patches)
    _install_start(patches)
    _install_stop(patches)
    _install_end(patches)
    _install_start_time(patches)
    _install_timed_out(patches)
    _install_history(patches)
    _install_size_limit(patches)
    _install_uncatchable_errors(patches)
    _install_paths(patches)
    _install_item_reader(patches)
    _install_wait_until(patches)
    _install_retry_waits(patches, state)
    _install_timeline(patches, state)


def _install_variables(patches: Patches) -> None:
    """Real: `$name` is the variable's value, also where JSONPath is the language. moto: hands it to a JSONata engine
    that it does not come with. A part of a variable (`$name.part`) would still go there, and fail."""

    def make(original: Any) -> Any:
        def evaluate(self: Any, env: Any) -> None:
            if _VARIABLE.fullmatch(self.expression) is None:
                original(self, env)
            else:
                env.stack.append(env.variable_store.get(self.expression[1:]))

        return evaluate

    patches.replace(StringVariableSample, "_eval_body", make)


def _install_error_names(patches: Patches) -> None:
    """Real: `Ec2.Ec2Exception`, `Ssm.InvocationDoesNotExistException`, `CloudWatch.InternalServiceException`. moto:
    `ec2.ec2Exception`, `CloudWatch.InternalServiceFaultException`."""

    def service_name(name: str) -> str:
        if name.lower() not in SERVICE_NAMES:
            raise ValueError(f"no error name is known for the SDK integration of {name}: add it to SERVICE_NAMES")
        return SERVICE_NAMES[name.lower()]

    def error_name(service: str, error: Exception) -> str:
        kind = type(error).__name__
        return f"{service}.{java_exception(service if kind == 'ClientError' else kind)}"

    task = StateTaskServiceAwsSdk
    patches.replace(task, "_normalise_service_error_name", lambda _original: staticmethod(service_name))
    patches.replace(task, "_normalise_exception_name", lambda _original: staticmethod(error_name))


def java_exception(shape: str) -> str:
    """The class that the SDK for Java v2 makes of an error: KMSThrottling and InternalServiceFault become
    KmsThrottlingException and InternalServiceException."""
    words = re.sub("[A-Z]{2,}(?=[A-Z][a-z])", lambda acronym: acronym[0].capitalize(), shape)
    return words.removesuffix("Exception").removesuffix("Fault") + "Exception"


def _install_lambda_errors(patches: Patches) -> None:
    """Real: Lambda's own errors are `Lambda.TooManyRequestsException` and so on. moto: all are `Exception`."""

    def make(original: Any) -> Any:
        def from_error(task: Any, env: Any, ex: Exception) -> FailureEvent:
            event: FailureEvent = original(task, env=env, ex=ex)
            if isinstance(ex, ClientError):
                name = type(ex).__name__
                name = f"Lambda.{'AWSLambdaException' if name == 'ClientError' else name}"
                event.error_name = CustomErrorName(name)
                next(iter(event.event_details.values()))["error"] = name
            return event

        return from_error

    patches.replace(StateTaskLambda, "_from_error", make)


def _install_results(patches: Patches) -> None:
    """Real: SDK results are JSON, times ISO-8601. moto: leaves datetime objects, on which DescribeExecution breaks."""

    def make(original: Any) -> Any:
        def eval_service_task(task: Any, *, env: Any, **kwargs: Any) -> None:
            original(task, env=env, **kwargs)
            env.stack[-1] = as_json(env.stack[-1])

        return eval_service_task

    patches.replace(StateTaskServiceAwsSdk, "_eval_service_task", make)


def _install_user_data(patches: Patches) -> None:
    """Real: RunInstances takes user data in base64, as the definition has it. moto: boto3 encodes it once more."""

    def make(original: Any) -> Any:
        def eval_service_task(task: Any, *, env: Any, normalised_parameters: dict[str, Any], **kwargs: Any) -> None:
            if encoded := normalised_parameters.get("UserData"):
                normalised_parameters = normalised_parameters | {"UserData": base64.b64decode(encoded).decode()}
            original(task, env=env, normalised_parameters=normalised_parameters, **kwargs)

        return eval_service_task

    patches.replace(StateTaskServiceAwsSdk, "_eval_service_task", make)


def _install_own_integration(patches: Patches) -> None:
    """Real: every SDK integration is PascalCase, Step Functions' own too. moto: hands boto3 the names as they are."""

    def make(original: Any) -> Any:
        def eval_service_task(task: Any, *, env: Any, normalised_parameters: dict[str, Any], **kwargs: Any) -> None:
            if task.resource.api_name != "sfn":
                original(task, env=env, normalised_parameters=normalised_parameters, **kwargs)
                return
            parameters = {name[0].lower() + name[1:]: value for name, value in normalised_parameters.items()}
            original(task, env=env, normalised_parameters=parameters, **kwargs)
            env.stack[-1] = {name[0].upper() + name[1:]: value for name, value in env.stack[-1].items()}

        return eval_service_task

    patches.replace(StateTaskServiceAwsSdk, "_eval_service_task", make)


def as_json(value: Any) -> Any:
    """The value with times as `2026-11-23T04:00:00.123Z` and bytes as text."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode()
    return value


def iso(time: datetime) -> str:
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _install_fail(patches: Patches) -> None:
    """Real (inferred): ErrorPath of a Fail passes on any error, `States.Timeout` too. moto: States.Runtime instead."""
    patches.replace(state_fail, "CustomErrorName", lambda _original: ErrorName)


def _install_start(patches: Patches) -> None:
    """Real: a name is made up when there is none, checked otherwise, and taken once. moto: "None"; a race."""
    lock = threading.Lock()

    def make(original: Any) -> Any:
        def start_execution(
            backend: StepFunctionsParserBackend,
            state_machine_arn: str,
            name: str | None = None,
            *args: Any,
            **kwargs: Any,
        ) -> Execution:
            if name is not None and (not 0 < len(name) <= 80 or _FORBIDDEN_IN_NAMES.search(name)):
                raise InvalidName(f"Invalid Name: '{name}'")
            with lock:
                execution: Execution = original(backend, state_machine_arn, name or str(uuid.uuid4()), *args, **kwargs)
                return execution

        return start_execution

    patches.replace(StepFunctionsParserBackend, "start_execution", make)


def _install_stop(patches: Patches) -> None:
    """Real: ABORTED at once. moto: when the running task returns, and an AttributeError before the first state."""

    def make(original: Any) -> Any:
        def stop(execution: Execution, stop_date: Any, error: str | None, cause: str | None) -> None:
            if execution.exec_status is not None and execution.status != "RUNNING":
                return
            if execution.exec_worker is None or execution.exec_worker.env is None:
                threading.Event().wait(0.2)
            original(execution, stop_date, error, cause)
            execution.stop_date, execution.error, execution.cause = utc_now(), error, cause
            execution.exec_status = ExecutionStatus.ABORTED

        return stop

    patches.replace(Execution, "stop", make)


def _install_start_time(patches: Patches) -> None:
    """Real: `$$.Execution.StartTime` is text. moto: a datetime object, which no JSON path or Lambda payload takes."""

    def make(original: Any) -> Any:
        def details(execution: Execution) -> Any:
            found = original(execution)
            found.start_time = iso(execution.start_date)
            return found

        return details

    patches.replace(Execution, "get_start_execution_details", make)


def _install_end(patches: Patches) -> None:
    """Real: DescribeExecution shows an end whole, and what was stopped stays ABORTED. moto: FAILED for a moment without
    error and cause, SUCCEEDED without output; and FAILED when a call that was under way then runs out of time."""

    def make(original: Any) -> Any:
        def reflect(worker: Any) -> None:
            execution = worker.execution
            if execution.status == "ABORTED":
                return
            worker.execution = ended = copy.copy(execution)
            try:
                original(worker)
            finally:
                worker.execution = execution
            for name in ("stop_date", "output", "error", "cause", "exec_status"):
                setattr(execution, name, getattr(ended, name))

        return reflect

    patches.replace(BaseExecutionWorkerCommunication, "_reflect_execution_status", make)


def _install_timed_out(patches: Patches) -> None:
    """Real: DescribeExecution has stopDate for TIMED_OUT too. moto: only for the other ends."""

    def make(original: Any) -> Any:
        def describe_execution(response: StepFunctionResponse) -> Any:
            answer = original(response)
            execution = response.stepfunction_backend.describe_execution(response._get_param("executionArn"))
            if execution.status == "TIMED_OUT":
                answer.result["stopDate"] = execution.stop_date
            return answer

        return describe_execution

    patches.replace(StepFunctionResponse, "describe_execution", make)


def _install_history(patches: Patches) -> None:
    """Real: the newest events first if asked so, and no more on a page than asked for. moto: all, the oldest first.
    There is one page here, as there is in moto."""

    def make(original: Any) -> Any:
        def get_execution_history(response: StepFunctionResponse) -> Any:
            answer = original(response)
            events = list(answer.result["events"])
            if response._get_param("reverseOrder"):
                events.reverse()
            answer.result["events"] = events[: response._get_param("maxResults") or None]
            return answer

        return get_execution_history

    patches.replace(StepFunctionResponse, "get_execution_history", make)


def _install_size_limit(patches: Patches) -> None:
    """Real: 262,144 bytes of UTF-8 for a task's result and for a state's output. moto: one byte less, and non-ASCII is
    counted as escapes."""
    for module in (state_module, state_task_lambda, state_task_service):
        patches.replace(module, "is_within_size_quota", lambda _original: _is_within_limit)


def _is_within_limit(value: Any) -> bool:
    text = (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    )
    return len(text.encode("utf-8", "surrogatepass")) <= MOST_STATE_BYTES


def _install_uncatchable_errors(patches: Patches) -> None:
    """Real: these errors end the execution. moto: States.ALL catches and retries them."""

    def make(original: Any) -> Any:
        def handle(state: Any, env: Any, failure_event: FailureEvent) -> Any:
            if failure_event.error_name is not None and failure_event.error_name.error_name in _UNCATCHABLE:
                raise FailureEventException(failure_event=failure_event)
            return original(state, env, failure_event)

        return handle

    for name in ("_handle_retry", "_handle_catch"):
        patches.replace(ExecutionState, name, make)


def _install_paths(patches: Patches) -> None:
    """Real: a path that finds nothing and an intrinsic that fails are States.Runtime, in a Choice too, unless the rule
    is IsPresent. moto: the error of the task, which is caught; an absent variable of a Choice makes a rule false."""

    def make_template(original: Any) -> Any:
        def evaluate(template: Any, env: Any) -> None:
            try:
                original(template, env)
            except FailureEventException:
                raise
            except Exception as error:
                raise _runtime_error(env, str(error)) from error

        return evaluate

    def compare(comparison: Any, env: Any) -> None:
        comparison.variable.eval(env)
        value, rule = env.stack[-1], comparison.comparison_function
        if isinstance(value, NoSuchVariable) and rule.operator_type is not ComparisonOperatorType.IsPresent:
            raise _runtime_error(env, f"Invalid path '{value.path}'")
        rule.eval(env)

    for template in (Parargs, ResultSelector, ResultPath, AssignDecl):
        patches.replace(template, "_eval_body", make_template)
    patches.replace(ComparisonVariable, "_eval_body", lambda _original: compare)


def _install_item_reader(patches: Patches) -> None:
    """Real: a list that cannot be read is States.ItemReaderFailed. moto: States.Runtime, which nothing catches."""

    def make(original: Any) -> Any:
        def evaluate(reader: Any, env: Any) -> None:
            try:
                original(reader, env)
            except (BotoCoreError, ClientError) as error:
                raise _runtime_error(env, str(error), StatesErrorNameType.StatesItemReaderFailed) from error

        return evaluate

    patches.replace(ItemReader, "_eval_body", make)


def _runtime_error(
    env: Any, cause: str, kind: StatesErrorNameType = StatesErrorNameType.StatesRuntime
) -> FailureEventException:
    error = StatesErrorName(typ=kind)
    details = EventDetails(taskFailedEventDetails=TaskFailedEventDetails(error=error.error_name, cause=cause))
    event = FailureEvent(env=env, error_name=error, event_type=HistoryEventType.TaskFailed, event_details=details)
    return FailureEventException(failure_event=event)


def _install_wait_until(patches: Patches) -> None:
    """Real: a Timestamp ending in Z is in UTC. moto: compares it with the machine's local time."""

    def make(original: Any) -> Any:
        def seconds_to_wait(self: Any, env: Any) -> int:
            of_moto = timestamp.datetime.datetime
            ahead_of_utc = of_moto.now() - of_moto.now(UTC).replace(tzinfo=None)
            seconds: int = original(self, env) + round(ahead_of_utc.total_seconds())
            return seconds

        return seconds_to_wait

    patches.replace(timestamp.Timestamp, "_get_wait_seconds", make)


def _install_retry_waits(patches: Patches, state: AccountState) -> None:
    """Not a repair: the waits of a Retry take minutes, here `time_scale` of that."""

    def make(time: Any) -> Any:
        return SimpleNamespace(sleep=lambda seconds: time.sleep(state.clock.scaled(seconds)))

    patches.replace(retrier_decl, "time", make)


def _install_timeline(patches: Patches, state: AccountState) -> None:
    """Real: an execution fails whose event 25,000 is not its end (documented; the error's name is inferred). moto: none
    is counted. And the history events feed the account's timeline as they happen."""

    def make_environment(original: Any) -> Any:
        def environment(worker: ExecutionWorker) -> Any:
            env = original(worker)
            details = worker._evaluation_details
            env.event_manager.hangdump_subject = details.state_machine_details.name
            env.event_manager.hangdump_env = env
            return env

        return environment

    def make_add(original: Any) -> Any:
        def add_event(
            manager: EventManager, context: Any, event_type: Any, event_details: Any = None, **kw: Any
        ) -> int:
            event_id: int = original(manager, context, event_type, event_details, **kw)
            kind = str(getattr(event_type, "value", event_type))
            text = describe(kind, event_details or {})
            if text:
                state.events.emit("stepfunctions", getattr(manager, "hangdump_subject", ""), text)
            # Each child of a map has a history of its own; here all share one, which is not bounded.
            env = getattr(manager, "hangdump_env", None)
            if event_id == MOST_EVENTS and env is not None and not kind.startswith("Execution"):
                raise _runtime_error(env, _TOO_MANY_EVENTS)
            return event_id

        return add_event

    patches.replace(ExecutionWorker, "_get_evaluation_environment", make_environment)
    patches.replace(EventManager, "add_event", make_add)


def describe(event_type: str, details: dict[str, Any]) -> str | None:
    """One line for the timeline, or None for the events that say nothing new."""
    body: dict[str, Any] = next(iter(details.values()), {}) if details else {}
    if event_type.endswith("StateEntered"):
        return str(body.get("name"))
    if event_type in ("TaskFailed", "ExecutionFailed", "TaskTimedOut"):
        return f"{event_type}: {body.get('error')}: {str(body.get('cause'))[:300]}"
    return event_type if event_type.startswith("Execution") else None
