"""Looks how far the production chain is with the twin that a drill has hung."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.drill.follow import follow
from lambdas.runtime import moment
from lambdas.runtime.environment import RecordKeeping
from lambdas.runtime.observability import entry_point, logger


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"twinId","hungAt"}`, gives lambdas.drill.follow.Progress."""
    seen = follow(
        RecordKeeping.read().table_name,
        event["twinId"],
        hung_at=moment.parse(event["hungAt"]),
        now=moment.now(),
    )
    logger.info("The drill of %s: %s", event["twinId"], seen)
    return seen.as_json()
