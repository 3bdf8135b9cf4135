"""How ProvisionDumpVolume asks for a plan."""

from typing import Any

from lambdas.handlers import plan_dump_volume

EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:ProvisionDumpVolume:first"


def plan(
    context: Any, instance_id: str, execution: str = EXECUTION, *, measured: dict[str, int] | None = None, **given: Any
) -> dict[str, Any]:
    """As the state "Plan dump volume" does; with `measured` as "Plan measured dump volume"."""
    event = {
        "input": {"instanceId": instance_id} | given,
        "executionId": execution,
        "startTime": "2026-11-23T04:00:00.000Z",
        **(measured or {}),
    }
    return plan_dump_volume.handler(event, context)
