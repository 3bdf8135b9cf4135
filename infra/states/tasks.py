"""The Tasks of the state machines: calls of the AWS API and calls of Hangdump's functions.

Every Task gets a timeout and an explicit retry list. CallAwsService would always add a grant without conditions to the
machine's role; so this uses CustomState, and the machine lists its grants.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from lambdas.runtime.errors import AwsUnavailable, HangdumpError, InvalidInput

# Errors that pass by themselves, by the classes of the SDK for Java that Step Functions uses; a test compares them with
# the models of the API. `<Service>Exception` is any error without a class of its own, such as EC2's
# RequestLimitExceeded. Every call is safe to repeat.
_TRANSIENT = {
    "ec2": ("Ec2", "Ec2Exception"),
    "ssm": (
        "Ssm",
        "SsmException InternalServerErrorException ThrottlingException "
        # The invocation is not there right after SendCommand. Reports from the field have this error under both names.
        "InvocationDoesNotExist InvocationDoesNotExistException",
    ),
    "dynamodb": (
        "DynamoDb",
        "DynamoDbException InternalServerErrorException ThrottlingException ProvisionedThroughputExceededException "
        "RequestLimitExceededException ReplicatedWriteConflictException TransactionConflictException",
    ),
    "cloudwatch": ("CloudWatch", "CloudWatchException InternalServiceException"),
    "sfn": ("Sfn", "SfnException KmsThrottlingException"),
    "sns": ("Sns", "SnsException InternalErrorException KmsThrottlingException ThrottledException"),
    "lambda": (
        "Lambda",
        "AWSLambdaException ServiceException TooManyRequestsException ClientExecutionTimeoutException",
    ),
}
# A function that ran out of time, or whose process died, under the names that Step Functions has given these.
_DIED = ["Sandbox.Timedout", "Runtime.ExitError", "Lambda.Unknown"]
# Further attempts up to 2, 5, 12, 31 and then five times 60 s later, 175 s in the mean. A throttle of one minute ends
# in success all but surely, one of two minutes nine times in ten. FULL jitter, because many executions that were
# throttled together would come again together.
RETRY: dict[str, Any] = {
    "IntervalSeconds": 2,
    "BackoffRate": 2.5,
    "MaxDelaySeconds": 60,
    "MaxAttempts": 9,
    "JitterStrategy": "FULL",
}
# jsii would drop a None, and the result of a Task without ResultPath replaces the whole state.
DISCARD = sfn.JsonPath.DISCARD


@dataclass(frozen=True)
class ApiCall:
    """`service:action` of the AWS SDK, with the parameters and the result selector, both in JSONPath."""

    service: str
    action: str
    parameters: Mapping[str, Any]
    result_selector: Mapping[str, Any] | None = None

    def state(self) -> dict[str, Any]:
        """The state without retries."""
        state: dict[str, Any] = {
            "Type": "Task",
            "Resource": f"arn:{cdk.Aws.PARTITION}:states:::aws-sdk:{self.service}:{self.action}",
            "Parameters": dict(self.parameters),
            "TimeoutSeconds": 60,
        }
        if self.result_selector is not None:
            state["ResultSelector"] = dict(self.result_selector)
        return state


@dataclass(frozen=True)
class FunctionCall:
    """A function, with its event in JSONPath or with a part of the state (input_path)."""

    function: lambda_.Function
    payload: Mapping[str, Any] | None = None
    input_path: str | None = None

    service = "lambda"

    def state(self) -> dict[str, Any]:
        """The state without retries."""
        timeout = self.function.timeout
        if timeout is None:
            raise ValueError(f"{self.function.node.id} has no timeout")
        state: dict[str, Any] = {
            "Type": "Task",
            "Resource": self.function.function_arn,
            # The function's own timeout comes first and gives the better error.
            "TimeoutSeconds": int(timeout.to_seconds()) + 30,
        }
        if self.payload is not None:
            state["Parameters"] = dict(self.payload)
        if self.input_path is not None:
            state["InputPath"] = self.input_path
        return state


def task(
    scope: Construct,
    name: str,
    call: ApiCall | FunctionCall,
    *,
    result_path: str | None = None,
    comment: str = "",
) -> sfn.CustomState:
    """A Task with retries on transient errors; its result goes to result_path, or is discarded."""
    service, classes = _TRANSIENT[call.service]
    errors = [f"{service}.{each}" for each in ("SdkClientException", *classes.split())]
    if isinstance(call, FunctionCall):
        # What a function's own calls met.
        errors.append(AwsUnavailable.__name__)
    retries = [{"ErrorEquals": errors, **RETRY}]
    if isinstance(call, FunctionCall):
        # What killed it may do so each time, and a function can have a quarter of an hour.
        retries.append({"ErrorEquals": _DIED, **RETRY, "MaxAttempts": 2})
    return _state(scope, name, {**call.state(), "Retry": retries, "ResultPath": result_path or DISCARD}, comment)


def retry_on(*errors: str) -> list[dict[str, Any]]:
    """For a state that is no Task: as often and as long as a Task is retried."""
    return [{"ErrorEquals": list(errors), **RETRY}]


def task_retrying_all_errors(
    scope: Construct, name: str, call: FunctionCall, *, result_path: str, comment: str
) -> sfn.CustomState:
    """A Task with retries on every error, also those of its function; the comment says why that is safe."""
    retry = [{"ErrorEquals": ["States.ALL"], **RETRY}]
    return _state(scope, name, {**call.state(), "Retry": retry, "ResultPath": result_path}, comment)


def task_without_retry(
    scope: Construct, name: str, call: FunctionCall, *, result_path: str, comment: str
) -> sfn.CustomState:
    """A Task that must not be retried; the comment says why."""
    return _state(scope, name, {**call.state(), "ResultPath": result_path}, comment)


def _state(scope: Construct, name: str, state: Mapping[str, Any], comment: str) -> sfn.CustomState:
    return sfn.CustomState(scope, name, state_json={**({"Comment": comment} if comment else {}), **state})


def name_error(scope: Construct, name: str, error: type[HangdumpError], cause: str, *, result_path: str) -> sfn.Pass:
    """A Pass that sets an error at result_path, as a catch would; `cause` holds the arguments of States.Format."""
    return set_fields(
        scope, name, {"Error": error.__name__, "Cause.$": f"States.Format({cause})"}, result_path=result_path
    )


def set_fields(
    scope: Construct, name: str, values: Mapping[str, Any], *, result_path: str, comment: str = ""
) -> sfn.Pass:
    """A Pass that puts values (JSONPath) into the state."""
    return sfn.Pass(scope, name, parameters=dict(values), result_path=result_path, comment=comment or None)


class ClosedFragment(sfn.StateMachineFragment):
    """A fragment whose exits are all passed in: it has no open end states. Subclasses set `_start`."""

    _start: sfn.State

    @property
    def start_state(self) -> sfn.State:
        """The first state."""
        return self._start

    @property
    def end_states(self) -> list[sfn.INextable]:
        """None."""
        return []


def if_instance_is_named(scope: Construct, then: sfn.IChainable) -> sfn.Choice:
    """The first state: refuses an input whose `instanceId` cannot be one, before anything is looked up."""
    named = sfn.Condition.and_(
        sfn.Condition.is_present("$.instanceId"),
        sfn.Condition.is_string("$.instanceId"),
        sfn.Condition.string_matches("$.instanceId", "i-*"),
    )
    unnamed = sfn.Fail(
        scope,
        "Refuse a request without instance",
        error=InvalidInput.__name__,
        cause='The input names no instance. Give at least {"instanceId": "i-0123456789abcdef0"}.',
    )
    return sfn.Choice(scope, "Is an instance named?").when(named, then).otherwise(unnamed)
