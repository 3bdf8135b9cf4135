"""Runs a command of hangdump in the simulator's account and time."""

import json
from datetime import UTC, datetime
from typing import Any

from click.testing import CliRunner, Result

from hangdump_cli.app import cli
from hangdump_cli.aws import Clock
from hangdump_cli.invocation import Invocation
from lab.simulator.scheduler import scheduler

CLOCK = Clock(now=lambda: datetime.fromtimestamp(scheduler.now, UTC), sleep=scheduler.sleep)


def hangdump(*arguments: str, typed: str | None = None, clock: Clock = CLOCK) -> Result:
    """Its exit code and output. What is no error of a user is raised."""
    result = CliRunner().invoke(cli, list(arguments), input=typed, obj=Invocation(clock=clock))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def answer(*arguments: str) -> dict[str, Any]:
    """The document that it prints with --json."""
    content: dict[str, Any] = json.loads(hangdump(*arguments, "--json").stdout)
    return content
