"""Every transient error that AWS models for a call is in the Retry of the tasks that make it."""

import re
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.model import Shape

from lab.aws.stepfunctions import SERVICE_NAMES, java_exception
from lambdas.runtime import clients
from tests.infra.template import Machine, Template
from tests.infra.test_state_machine_calls import SDK

# A limit that is no rate (LimitExceeded, ItemCollectionSizeLimitExceeded) does not pass by itself.
_TRANSIENT = re.compile(
    "Throttl|TooManyRequests|RequestLimitExceeded|ProvisionedThroughput|TransactionConflict"
    "|InternalServer|InternalError|InternalService|ServiceUnavailable"
)


def _is_transient(error: Shape) -> bool:
    metadata = error.metadata
    status = metadata.get("error", {}).get("httpStatusCode", 0)
    return "retryable" in metadata or status >= 500 or _TRANSIENT.search(error.name) is not None


def transient_errors(service: str, action: str) -> set[str]:
    """As Step Functions names them: `ssm`, `sendCommand`."""
    name = SERVICE_NAMES[service]
    model = botocore.session.get_session().get_service_model({"sfn": "stepfunctions"}.get(service, service))
    operations = {xform_name(each): each for each in model.operation_names}
    operation = model.operation_model(operations[xform_name(action)])
    errors = [each for each in operation.error_shapes if _is_transient(each)]
    # A rate may be limited before the operation is known: SendCommand models no throttling, its service does.
    errors += [each for each in model.error_shapes if "Throttl" in each.name]
    # What is not modelled, such as EC2's RequestLimitExceeded; and an answer that did not come.
    return {f"{name}.{java_exception(each.name)}" for each in errors} | {
        f"{name}.{name}Exception",
        f"{name}.SdkClientException",
    }


@pytest.mark.parametrize(
    ("service", "action", "expected"),
    [
        ("ssm", "sendCommand", "Ssm.ThrottlingException"),
        ("ec2", "attachVolume", "Ec2.Ec2Exception"),
        ("dynamodb", "putItem", "DynamoDb.TransactionConflictException"),
        ("dynamodb", "putItem", "DynamoDb.ReplicatedWriteConflictException"),
        ("dynamodb", "getItem", "DynamoDb.RequestLimitExceededException"),
        ("cloudwatch", "putMetricData", "CloudWatch.InternalServiceException"),
        ("sns", "publish", "Sns.KmsThrottlingException"),
        ("sns", "publish", "Sns.ThrottledException"),
        ("sfn", "startExecution", "Sfn.KmsThrottlingException"),
    ],
)
def test_the_models_name_the_transient_errors(service: str, action: str, expected: str) -> None:
    assert expected in transient_errors(service, action)


def test_every_transient_error_of_a_call_is_retried(machine: Machine) -> None:
    missing = {}
    for name, state in machine.tasks().items():
        found = SDK.match(state["Resource"])
        if found is not None:
            retried = {error for retrier in state["Retry"] for error in retrier["ErrorEquals"]}
            missing[name] = transient_errors(found["service"], found["action"]) - retried
    assert len(missing) > 1
    assert {name: errors for name, errors in missing.items() if errors} == {}


def test_an_invocation_that_is_not_there_yet_is_retried_under_both_names(machine: Machine) -> None:
    """Reports from the field name it without "Exception", and others with it."""
    for state in machine.tasks().values():
        if state["Resource"].endswith(":getCommandInvocation"):
            (retrier,) = state["Retry"]
            assert {"Ssm.InvocationDoesNotExist", "Ssm.InvocationDoesNotExistException"} <= set(retrier["ErrorEquals"])


# "Handle transient Lambda service exceptions" in Step Functions' best practices, and the names of a function that died.
LAMBDA = {
    *("Lambda.ClientExecutionTimeoutException", "Lambda.ServiceException", "Lambda.AWSLambdaException"),
    *("Lambda.SdkClientException", "Lambda.TooManyRequestsException"),
    *("Sandbox.Timedout", "Runtime.ExitError", "Lambda.Unknown"),
}


def test_a_function_that_is_not_reached_or_dies_is_called_again(machine: Machine) -> None:
    for name, state in machine.tasks().items():
        retried = {error for retrier in state.get("Retry", []) for error in retrier["ErrorEquals"]}
        if not SDK.match(state["Resource"]) and name != "Send diagnostic interrupt":
            assert "States.ALL" in retried or retried >= LAMBDA, name


def test_a_call_that_is_never_answered_fails_before_its_function_runs_out_of_time(template: Template) -> None:
    functions = template.of_type("AWS::Lambda::Function").values()
    # CDK's own, for the deployment, has three seconds.
    timeouts = [each["Timeout"] for each in functions if "FunctionName" in each]
    config: Any = clients._DEFAULT
    attempts, waits = config.retries["total_max_attempts"], 1 + 2 + 4 + 8
    assert (config.connect_timeout + config.read_timeout) * attempts + waits <= min(timeouts)


def test_a_function_that_was_throttled_is_called_again(machine: Machine) -> None:
    """Except the interrupt: a second attempt may be a second interrupt."""
    once = {
        name
        for name, state in machine.tasks().items()
        if not SDK.match(state["Resource"])
        and not any({"AwsUnavailable", "States.ALL"} & set(each["ErrorEquals"]) for each in state.get("Retry", []))
    }
    assert once <= {"Send diagnostic interrupt"}
