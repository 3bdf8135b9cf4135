"""One Logger and Tracer for all functions, their metrics, and the wrapping that every handler gets.

Events and results are never logged or traced: they can carry presigned URLs.
"""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger, Tracer, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

SERVICE = "hangdump"
NAMESPACE = "Hangdump"

Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]

logger = Logger(service=SERVICE)
# Only botocore: patching the HTTP clients would put request paths into the trace.
tracer = Tracer(service=SERVICE, patch_modules=("botocore",))


def entry_point(handler: Handler) -> Handler:
    """Logging with the request id and one trace segment; neither the event nor the result is recorded."""
    traced = tracer.capture_lambda_handler(handler, capture_response=False)
    observed: Handler = logger.inject_lambda_context(traced, log_event=False, clear_state=True)
    return observed


def count(name: str, **dimensions: str) -> None:
    """One occurrence of `name`: once for the whole service, and once more with the dimensions given.

    single_metric rather than @log_metrics, which warns at each of the many invocations that have nothing to say.
    """
    measure(name, 1, unit=MetricUnit.Count)
    if dimensions:
        measure(name, 1, unit=MetricUnit.Count, **dimensions)


def measure(name: str, value: float, *, unit: MetricUnit, **dimensions: str) -> None:
    """One value in the namespace Hangdump, with dimension `service` and those given."""
    with single_metric(name=name, unit=unit, value=value, namespace=NAMESPACE) as metric:
        metric.add_dimension("service", SERVICE)
        for dimension, text in dimensions.items():
            metric.add_dimension(dimension, text)
