"""One Logger and Tracer for all functions, their metrics, and the wrapping that every handler gets.

Events and results are never logged or traced: they can carry presigned URLs.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger, Tracer, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.runtime.errors import HangdumpError
from lambdas.runtime.telemetry_names import NAMESPACE, SERVICE, SERVICE_DIMENSION, LogField, Metric

Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]

# Of what a human may have given to an execution.
_LONGEST_ID = 100

logger = Logger(service=SERVICE)
# Only botocore: patching the HTTP clients would put request paths into the trace.
tracer = Tracer(service=SERVICE, patch_modules=("botocore",))


def entry_point(handler: Handler) -> Handler:
    """Logging with the request's, the incident's and the instance's id, and one trace segment; neither the event nor
    the result is recorded."""
    traced = tracer.capture_lambda_handler(_log_and_count_errors(handler), capture_response=False)
    observed: Handler = logger.inject_lambda_context(traced, log_event=False, clear_state=True)
    return observed


def _log_and_count_errors(handler: Handler) -> Handler:
    """An error of ours has a name that a state machine catches, and is part of a story; any other is a fault of ours
    or of AWS, and is counted."""

    @functools.wraps(handler)
    def run(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        logger.append_keys(**identity(event))
        try:
            return handler(event, context)
        except HangdumpError as error:
            logger.warning("%s", error, extra={LogField.ERROR: type(error).__name__})
            raise
        except Exception as error:
            # The message of an error of others may quote what it was given; its name and its place say enough.
            logger.error("Unexpected error", extra={LogField.ERROR: type(error).__name__})
            count(Metric.UNEXPECTED_ERRORS, function=context.function_name)
            raise

    return run


def identity(event: object) -> dict[str, str]:
    """What an event says of the incident, the instance and the execution it is about, wherever our workflows put it."""
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
    """One occurrence of `name`: once for the whole service, and once more broken down, where a dimension is given.

    single_metric rather than @log_metrics, which warns at each of the many invocations that have nothing to say.
    """
    measure(name, 1, unit=MetricUnit.Count)
    if dimension:
        measure(name, 1, unit=MetricUnit.Count, **dimension)


def measure(name: Metric, value: float, *, unit: MetricUnit, **dimension: str) -> None:
    """One value, for the whole service or broken down by the dimension that BROKEN_DOWN_BY has for it."""
    with single_metric(name=name.value, unit=unit, value=value, namespace=NAMESPACE) as metric:
        metric.add_dimension(SERVICE_DIMENSION, SERVICE)
        for broken_down_by, text in dimension.items():
            metric.add_dimension(broken_down_by, text)
