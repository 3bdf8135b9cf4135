"""The waiting part of CollectVmcore: until the instance is back, started again first when it powered itself off.

Owns the two bounded loops and the one start between them. What is seen in a look is watch_dump's.
"""

from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.collect.functions import CollectFunctions
from infra.settings import Settings
from infra.states.poll import Poll, polling
from infra.states.tasks import ApiCall, ClosedFragment, FunctionCall, set_fields, task

# 13 events a look at the dump: 400 are a fifth of an execution's 25,000.
MAX_POLLS = 400
# A start takes a minute or two, the largest bare metal types a quarter of an hour.
START_SECONDS = 1200
_INSTANCE = "$.facts.incident.instanceId"
_FAILURE = "$.facts.error"
_GOES_ON = ("waiting", "crash-kernel", "dumping", "saved", "booting")


@dataclass(frozen=True)
class Exits:
    """Where the watch leads: once the instance is back, when it does not come back, when there is nothing to fetch."""

    fetch: sfn.State
    rescue: sfn.State
    conclude: sfn.State


class WatchDump(ClosedFragment):
    """`$.facts.watch` says what was seen last."""

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
        self._ways = exits
        polls = polling(settings.dump_limit_seconds, settings.poll_seconds, max_polls=MAX_POLLS)
        loop = Poll(self, title, look=self._look(title), polling=polls)
        started = self._start_again(settings)
        loop.ends_when(_is_phase("powered-off"), started)
        late = {
            "phase": "timed-out",
            "detail.$": "$.facts.watch.detail",
            "sawCrashKernel.$": "$.facts.watch.sawCrashKernel",
        }
        comment = "watch_dump has its own deadline; this is the bound of the loop"
        self._end(loop, set_fields(self, "Stop watching", late, result_path="$.facts.watch", comment=comment))
        self._start = loop.start_state

    def _start_again(self, settings: Settings) -> sfn.State:
        """A loop of its own behind it, without a way back: whatever happens, the instance is started once."""
        start = task(
            self,
            "Start instance again",
            ApiCall("ec2", "startInstances", {"InstanceIds.$": f"States.Array({_INSTANCE})"}),
            comment="It powered itself off after its dump. Repeating is harmless: an instance that runs stays as it is",
            # Capacity may be short for a while: 20, 30, 45 and 67 s between the tries by default.
            retry_seconds=2 * settings.poll_seconds,
        )
        start.add_catch(self._ways.rescue, errors=["States.ALL"], result_path=_FAILURE)
        started = {
            "phase": "started-again",
            "detail": "It was started again after it had powered itself off.",
            "sawCrashKernel.$": "$.facts.watch.sawCrashKernel",
        }
        begun = set_fields(self, "Note the start", started, result_path="$.facts.watch")
        title = "Watch the start"
        look = self._look(title, isStartedAgain=True)
        polls = polling(START_SECONDS, settings.poll_seconds, max_polls=MAX_POLLS)
        loop = Poll(self, title, look=look, polling=polls)
        late = {
            "phase": "not-back",
            "detail.$": "States.Format('{} was started again after its dump, but does not answer. {}', "
            f"{_INSTANCE}, $.facts.watch.detail)",
            "sawCrashKernel.$": "$.facts.watch.sawCrashKernel",
        }
        self._end(loop, set_fields(self, "Stop waiting for the start", late, result_path="$.facts.watch"))
        start.next(begun).next(loop.start_state)
        return start

    def _look(self, name: str, **more: Any) -> sfn.CustomState:
        payload = {"incidentId.$": "$.facts.incident.incidentId", "instanceId.$": _INSTANCE, **more}
        look = task(self, name, FunctionCall(self._functions.watch_dump, payload), result_path="$.facts.watch")
        look.add_catch(self._ways.conclude, errors=["States.ALL"], result_path=_FAILURE)
        return look

    def _end(self, loop: Poll, late: sfn.Pass) -> None:
        """The exits out that both loops have."""
        goes_on = sfn.Condition.or_(*(_is_phase(each) for each in _GOES_ON))
        loop.ends_when(_is_phase("online"), self._ways.fetch)
        loop.ends_when(_is_phase("no-panic"), self._ways.conclude)
        loop.ends_when(sfn.Condition.not_(goes_on), self._ways.rescue).gives_up(late)
        late.next(self._ways.rescue)


def _is_phase(phase: str) -> sfn.Condition:
    return sfn.Condition.string_equals("$.facts.watch.phase", phase)
