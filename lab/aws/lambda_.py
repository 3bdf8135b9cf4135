"""Lambda: invokes the bundled handler in a process of its own. Owns invocation types, retries and permissions."""

import fnmatch
import json
import uuid
from typing import Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.models import LambdaFunction
from moto.awslambda_simple.models import LambdaSimpleBackend

from lab.aws.eventbridge import Publish
from lab.aws.lambda_pool import FunctionSpec, LambdaPool, Outcome
from lab.aws.patches import Patches
from lab.aws.state import AccountState

# Real: an asynchronous invocation that fails is tried again after one and after two more minutes.
ASYNC_RETRY_SECONDS = (60, 120)


class FunctionFailed(Exception):
    """A function raised or ran out of time; the text is `<errorType>: <errorMessage>`."""


class Functions:
    """Real: a container per concurrent invocation. moto's "simple" backend: echoes the payload. Here: LambdaPool."""

    def __init__(self, state: AccountState, pool: LambdaPool) -> None:
        self._state = state
        self._pool = pool
        self.publish: Publish = lambda *_: None

    def call_and_parse(self, name_or_arn: str, event: Any) -> Any:
        outcome = self.call(name_or_arn, event)
        result = json.loads(outcome.payload)
        if outcome.is_error:
            raise FunctionFailed(f"{result['errorType']}: {result['errorMessage']}")
        return result

    def call(self, name_or_arn: str, event: Any, *, request_id: str = "") -> Outcome:
        """Synchronous, RequestResponse; under a request id of its own unless it repeats a request."""
        spec = self._spec(name_or_arn)
        self._state.events.emit("lambda", spec.name, "started")
        outcome = self._pool.invoke(spec, event, request_id=request_id or str(uuid.uuid4()))
        text, result = "succeeded", json.loads(outcome.payload)
        if outcome.is_error:
            text = f"failed: {result['errorType']}: {result['errorMessage']}"
        self._state.events.emit("lambda", spec.name, text, result=result)
        return outcome

    def call_later(self, name_or_arn: str, event: Any) -> None:
        """Asynchronous, Event: queued, tried up to three times."""
        spec = self._spec(name_or_arn)
        self._state.spawn(f"invoke {spec.name}", self._try_repeatedly, spec, event)

    def call_as(self, function_arn: str, event: dict[str, Any], principal: str, source_arn: str) -> None:
        """An AWS service invokes: only when the function's resource policy lets it."""
        function = self._function(function_arn)
        if not permits(function.policy.statements, principal, source_arn, self._state.account_id):
            self._state.events.emit(
                "lambda", function.function_name, f"not invoked: its policy does not permit {principal} of {source_arn}"
            )
            return
        self.call_later(function_arn, event)

    def _try_repeatedly(self, spec: FunctionSpec, event: Any) -> None:
        config = self._invoke_config(spec)
        retries = int(config.get("MaximumRetryAttempts", 2))
        # Real: all attempts at an event carry the same one.
        request_id = str(uuid.uuid4())
        for attempt in range(retries + 1):
            outcome = self.call(spec.arn, event, request_id=request_id)
            if not outcome.is_error:
                return
            if attempt < retries and not self._state.pause(self._state.clock.scaled(ASYNC_RETRY_SECONDS[attempt])):
                return
        self._state.events.emit("lambda", spec.name, f"asynchronous event given up after {retries + 1} attempts")
        destination = (config.get("DestinationConfig") or {}).get("OnFailure", {}).get("Destination")
        if destination:
            self.tell(destination, spec.arn, {"requestPayload": event, "responsePayload": json.loads(outcome.payload)})

    def tell(self, destination: str, function_arn: str, what: dict[str, Any]) -> None:
        """The record that Lambda sends to the on-failure destination; here topics only."""
        if destination.split(":")[2] != "sns":
            raise NotImplementedError(f"on-failure destination {destination} is not emulated")
        record = {
            "requestContext": {"functionArn": function_arn, "condition": "RetriesExhausted"},
            "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
            **what,
        }
        self.publish(destination, "", record, self.role_of(function_arn), function_arn)

    def role_of(self, function_arn: str) -> str:
        """The ARN of the function's role."""
        return str(self._function(function_arn).role)

    def _invoke_config(self, spec: FunctionSpec) -> dict[str, Any]:
        configs = self._function(spec.arn).event_invoke_config
        return dict(configs[0].config) if configs else {}

    def _function(self, name_or_arn: str) -> LambdaFunction:
        name = name_or_arn.rsplit(":function:", maxsplit=1)[-1].split(":", maxsplit=1)[0]
        backend = self._state.backend("lambda")
        try:
            return backend.get_function(name)
        except UnknownFunctionException:
            self._state.events.emit("lambda", name, "does not exist")
            raise

    def _spec(self, name_or_arn: str) -> FunctionSpec:
        function = self._function(name_or_arn)
        return FunctionSpec(
            name=function.function_name,
            role=function.role,
            arn=f"arn:aws:lambda:{self._state.region}:{self._state.account_id}:function:{function.function_name}",
            handler=function.handler,
            timeout_seconds=float(function.timeout),
            memory_mib=int(function.memory_size),
            environment=tuple(sorted((k, str(v)) for k, v in function.environment_vars.items())),
            code_sha256=function.code_sha_256,
            code=function.code_bytes,
        )


def install(patches: Patches, functions: Functions, *, publish: Publish) -> None:
    """Replaces the invocation behind the Invoke API, which Step Functions' lambda:invoke uses too."""
    functions.publish = publish

    def make(_original: Any) -> Any:
        def invoke(
            _backend: LambdaSimpleBackend,
            function_name: str,
            _qualifier: str | None,
            body: Any,
            headers: Any,
            response_headers: Any,
        ) -> bytes:
            event = json.loads(body) if body else {}
            invocation_type = headers.get("X-Amz-Invocation-Type", "RequestResponse")
            if invocation_type == "DryRun":
                return b""
            if invocation_type == "Event":
                functions.call_later(function_name, event)
                return b""
            outcome = functions.call(function_name, event)
            if outcome.is_error:
                response_headers["x-amz-function-error"] = "Unhandled"
            return outcome.payload.encode()

        return invoke

    patches.replace(LambdaSimpleBackend, "invoke", make)


def permits(statements: list[dict[str, Any]], principal: str, source_arn: str, account_id: str) -> bool:
    """Whether a function's resource policy lets a service invoke it for `source_arn`."""
    return any(_matches(statement, principal, source_arn, account_id) for statement in statements)


def _matches(statement: dict[str, Any], principal: str, source_arn: str, account_id: str) -> bool:
    if statement.get("Effect") != "Allow" or statement.get("Action") not in ("lambda:InvokeFunction", "lambda:*"):
        return False
    if statement.get("Principal") not in ({"Service": principal}, principal, "*"):
        return False
    facts = {"aws:sourcearn": source_arn, "aws:sourceaccount": account_id}
    for operator_name, wanted in (statement.get("Condition") or {}).items():
        for key, pattern in wanted.items():
            actual = facts.get(key.lower())
            if actual is None or not _holds(operator_name, actual, str(pattern)):
                return False
    return True


def _holds(operator_name: str, actual: str, pattern: str) -> bool:
    if operator_name in ("StringEquals", "ArnEquals"):
        return actual == pattern
    if operator_name in ("StringLike", "ArnLike"):
        return fnmatch.fnmatchcase(actual, pattern)
    raise ValueError(f"condition operator {operator_name} of a function's policy is not emulated")
