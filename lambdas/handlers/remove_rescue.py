"""Removes everything that a rescue created: instance, snapshot, volumes. The state machine calls it until all are gone.

It finds them by the rescue's tag instead of by remembered ids, so a lost answer of EC2 leaves nothing behind.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.rescue.remove import Rescue, delete_copies, delete_snapshots, end_collectors
from lambdas.runtime.environment import RecordKeeping
from lambdas.runtime.observability import entry_point, logger


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"executionName"}`, gives `{"isAnythingLeft","left"}`; `left` lists the ids that are still there."""
    rescue = Rescue(event["executionName"], RecordKeeping.read().table_name)
    left = [*end_collectors(rescue), *delete_snapshots(rescue), *delete_copies(rescue)]
    logger.info("Left of the rescue: %s", left or "nothing")
    return {"isAnythingLeft": bool(left), "left": left}
