"""The Logger and Tracer of all functions, their metrics, and the decorator of every handler.

Events and results are never logged or traced: they can hold presigned URLs.
"""

import functools
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger, Tracer, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from lambdas.runtime.errors import AwsUnavailable, HangdumpError
from lambdas.runtime.telemetry_names import NAMESPACE, SERVICE, SERVICE_DIMENSION, LogField, Metric

Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]

# A person may have typed the id.
_LONGEST_ID = 100
# How services say that there were too many requests.
_THROTTLED = {
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}

# ASCII only: text of a console or an alarm's name must not turn the lines of whoever reads the log.
logger = Logger(service=SERVICE, json_serializer=functools.partial(json.dumps, default=str, separators=(",", ":")))
# Patch only botocore: patched HTTP clients would put request paths into the trace.
tracer = Tracer(service=SERVICE, patch_modules=("botocore",))


def entry_point(handler: Handler) -> Handler:
    """Adds logging with the ids of request, incident and instance, and one trace segment without event and result."""
    traced = tracer.capture_lambda_handler(_log_and_count_errors(handler), capture_response=False)
    observed: Handler = logger.inject_lambda_context(traced, log_event=False, clear_state=True)
    return observed


def _log_and_count_errors(handler: Handler) -> Handler:
    """A HangdumpError is expected: a state machine catches it by name. So is AWS's being busy, which its state retries.

    Any other error is a fault, and is counted.
    """

    @functools.wraps(handler)
    def run(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        logger.append_keys(**identity(event))
        try:
            return handler(event, context)
        except HangdumpError as error:
            logger.warning("%s", error, extra={LogField.ERROR: type(error).__name__})
            raise
        except Exception as error:
            if busy := _busy(error):
                logger.warning("%s", busy, extra={LogField.ERROR: type(busy).__name__})
                raise busy from error
            # Log only the name: the message of a foreign error may quote secrets from its input.
            logger.error("Unexpected error", extra={LogField.ERROR: type(error).__name__})
            count(Metric.UNEXPECTED_ERRORS, function=context.function_name)
            raise

    return run


def _busy(error: Exception) -> AwsUnavailable | None:
    """What an error of botocore says that passes by itself, None for any other; the client has retried it."""
    if isinstance(error, (NoConnectionError, HTTPClientError)):
        return AwsUnavailable(f"AWS did not answer ({type(error).__name__}).", AwsUnavailable.next_step)
    if not isinstance(error, ClientError):
        return None
    code = error.response["Error"].get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code not in _THROTTLED and status != HTTPStatus.TOO_MANY_REQUESTS and status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return None
    return AwsUnavailable(f"AWS answered {error.operation_name} with {code}.", AwsUnavailable.next_step)


def identity(event: object) -> dict[str, str]:
    """The ids of incident, instance and execution in an event, at any place where our workflows put them."""
    if not isinstance(event, Mapping):
        return {}
    places = [event, *(event[name] for name in ("incident", "input") if isinstance(event.get(name), Mapping))]
    names = {
        LogField.INCIDENT_ID: "incidentId",
        LogField.INSTANCE_ID: "instanceId",
        LogField.EXECUTION: "executionName",
    }
    return {
        field.value: place[name][:_LONGEST_ID]
        for field, name in names.items()
        for place in places
        if isinstance(place.get(name), str) and place[name]
    }


def count(name: Metric, **dimension: str) -> None:
    """Counts one occurrence for the whole service, and one by the dimension if there is one.

    Uses single_metric because @log_metrics warns at every invocation without a metric.
    """
    measure(name, 1, unit=MetricUnit.Count)
    if dimension:
        measure(name, 1, unit=MetricUnit.Count, **dimension)


def measure(name: Metric, value: float, *, unit: MetricUnit, **dimension: str) -> None:
    """Emits one value, for the whole service or by its dimension in BROKEN_DOWN_BY."""
    with single_metric(name=name.value, unit=unit, value=value, namespace=NAMESPACE) as metric:
        metric.add_dimension(SERVICE_DIMENSION, SERVICE)
        for broken_down_by, text in dimension.items():
            metric.add_dimension(broken_down_by, text)
