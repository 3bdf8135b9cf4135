"""Removes everything that a rescue created: instance, snapshot, volumes. The state machine calls it until all are gone.

It finds them by the rescue's tag instead of by remembered ids, so a lost answer of EC2 leaves nothing behind.
"""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.rescue.remove import delete_copies, delete_snapshots, end_collectors
from lambdas.runtime.observability import entry_point, logger
from lambdas.runtime.tags import RESCUE_EXECUTION_TAG

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"executionName"}`, gives `{"isAnythingLeft","left"}`; `left` lists the ids that are still there."""
    mark: list[FilterTypeDef] = [{"Name": f"tag:{RESCUE_EXECUTION_TAG}", "Values": [event["executionName"]]}]
    left = [*end_collectors(mark), *delete_snapshots(mark), *delete_copies(mark)]
    logger.info("Left of the rescue: %s", left or "nothing")
    return {"isAnythingLeft": bool(left), "left": left}
