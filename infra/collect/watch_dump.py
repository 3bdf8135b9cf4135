"""The waiting part of CollectVmcore: waits until the instance is back, and starts it if it powered itself off.

There are two bounded loops with one start between them. The function watch_dump decides the phase of each poll.
"""

from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.collect.functions import CollectFunctions
from infra.settings import Settings
from infra.states.poll import Poll, polling
from infra.states.tasks import ApiCall, ClosedFragment, FunctionCall, set_fields, task

# Each poll adds 13 history events: 400 polls use a fifth of an execution's 25,000.
MAX_POLLS = 400
# A start takes a minute or two, the largest bare metal types a quarter of an hour.
START_SECONDS = 1200
_INSTANCE = "$.facts.incident.instanceId"
_FAILURE = "$.facts.error"
_GOES_ON = ("waiting", "crash-kernel", "dumping", "saved", "booting")


@dataclass(frozen=True)
class Exits:
    """fetch: the instance is back. rescue: it does not come back. conclude: there is nothing to fetch."""

    fetch: sfn.State
    rescue: sfn.State
    conclude: sfn.State


class WatchDump(ClosedFragment):
    """`$.facts.watch` holds the last poll's result."""

    def __init__(
        self,
        scope: Construct,
        title: str,
        *,
        functions: CollectFunctions,
        settings: Settings,
        exits: Exits,
    ) -> None:
        super().__init__(scope, f"{title} states")
        self._functions = functions
        self._exits = exits
        polls = polling(settings.dump_limit_seconds, settings.poll_seconds, max_polls=MAX_POLLS)
        loop = Poll(self, title, check=self._check(title), polling=polls)
        started = self._start_again(settings)
        loop.ends_when(_is_phase("powered-off"), started)
        late = {
            "phase": "timed-out",
            "detail.$": "$.facts.watch.detail",
            "sawCrashKernel.$": "$.facts.watch.sawCrashKernel",
        }
        comment = "watch_dump has its own deadline; this is the limit of the loop"
        self._end(loop, set_fields(self, "Stop watching", late, result_path="$.facts.watch", comment=comment))
        self._start = loop.start_state

    def _start_again(self, settings: Settings) -> sfn.State:
        """Starts the instance; a second loop follows and never leads back here, so it is started only once."""
        start = task(
            self,
            "Start instance again",
            ApiCall("ec2", "startInstances", {"InstanceIds.$": f"States.Array({_INSTANCE})"}),
            # Capacity may be short for a while: the retries take minutes.
            comment="It powered itself off after its dump. A retry is harmless: it does not change a running instance",
        )
        start.add_catch(self._exits.rescue, errors=["States.ALL"], result_path=_FAILURE)
        started = {
            "phase": "started-again",
            "detail": "It was started again after it had powered itself off.",
            "sawCrashKernel.$": "$.facts.watch.sawCrashKernel",
        }
        begun = set_fields(self, "Note the start", started, result_path="$.facts.watch")
        title = "Watch the start"
        check = self._check(title, isStartedAgain=True)
        polls = polling(START_SECONDS, settings.poll_seconds, max_polls=MAX_POLLS)
        loop = Poll(self, title, check=check, polling=polls)
        late = {
            "phase": "not-back",
            "detail.$": "States.Format('{} was started again after its dump, but does not answer. {}', "
            f"{_INSTANCE}, $.facts.watch.detail)",
            "sawCrashKernel.$": "$.facts.watch.sawCrashKernel",
        }
        self._end(loop, set_fields(self, "Stop waiting for the start", late, result_path="$.facts.watch"))
        start.next(begun).next(loop.start_state)
        return start

    def _check(self, name: str, **more: Any) -> sfn.CustomState:
        payload = {"incidentId.$": "$.facts.incident.incidentId", "instanceId.$": _INSTANCE, **more}
        check = task(self, name, FunctionCall(self._functions.watch_dump, payload), result_path="$.facts.watch")
        check.add_catch(self._exits.conclude, errors=["States.ALL"], result_path=_FAILURE)
        return check

    def _end(self, loop: Poll, late: sfn.Pass) -> None:
        """The exits of both loops."""
        goes_on = sfn.Condition.or_(*(_is_phase(each) for each in _GOES_ON))
        loop.ends_when(_is_phase("online"), self._exits.fetch)
        loop.ends_when(_is_phase("no-panic"), self._exits.conclude)
        loop.ends_when(sfn.Condition.not_(goes_on), self._exits.rescue).gives_up(late)
        late.next(self._exits.rescue)


def _is_phase(phase: str) -> sfn.Condition:
    return sfn.Condition.string_equals("$.facts.watch.phase", phase)
