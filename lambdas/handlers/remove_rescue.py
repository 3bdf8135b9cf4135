"""Removes everything that an execution made: instances, snapshots, volumes. Its state machine calls until all are gone.

It finds them by the execution's tag instead of by remembered ids, so a lost answer of EC2 leaves nothing behind. Its
name is of the time when only rescues made such things: running rescues of an older version call it.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.runtime.environment import RecordKeeping
from lambdas.runtime.observability import entry_point, logger
from lambdas.short_lived.remove import Maker, delete_snapshots, delete_volumes, end_instances


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"executionName","executionId"}`, gives `{"isAnythingLeft","left"}`: the ids that are still there."""
    table = RecordKeeping.read().table_name
    # Running rescues of an older version give no id.
    maker = Maker(event["executionName"], table, execution_id=event.get("executionId", ""))
    left = [*end_instances(maker), *delete_snapshots(maker), *delete_volumes(maker)]
    logger.info("Left: %s", left or "nothing")
    return {"isAnythingLeft": bool(left), "left": left}
