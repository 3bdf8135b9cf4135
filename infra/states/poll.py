"""The bounded polling loop: wait, check, judge, repeat. The caller gives the check and the conditions that end it."""

from dataclasses import dataclass

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.states.tasks import ClosedFragment


@dataclass(frozen=True)
class Polling:
    """`limit` polls: the first after first_seconds, each further interval growth_seconds longer."""

    first_seconds: int
    growth_seconds: int
    limit: int

    @property
    def total_seconds(self) -> int:
        """The time until the last poll."""
        return self.limit * self.first_seconds + self.growth_seconds * self.limit * (self.limit - 1) // 2


def polling(timeout_seconds: int, first_seconds: int, *, max_polls: int) -> Polling:
    """At most `max_polls` polls that cover the timeout.

    A poll adds a dozen history events, and the limit is 25,000. So the intervals grow if constant ones need too many.
    """
    growth_seconds = 0
    while True:
        limit, waited_seconds = 0, 0
        while waited_seconds < timeout_seconds and limit <= max_polls:
            waited_seconds += first_seconds + growth_seconds * limit
            limit += 1
        if limit <= max_polls:
            return Polling(first_seconds, growth_seconds, limit)
        growth_seconds += 1


class Poll(ClosedFragment):
    """Repeats the Task `check` until a condition of ends_when holds or the limit is reached.

    The counter and the interval are variables of the execution, because no loop runs inside another.
    """

    def __init__(self, scope: Construct, title: str, *, check: sfn.CustomState, polling: Polling) -> None:
        super().__init__(scope, f"{title} loop")
        self._start = sfn.Pass(
            self, f"{title} (start waiting)", assign={"polls": 1, "waitSeconds": polling.first_seconds}
        )
        self._wait = sfn.Wait(self, f"{title} (wait)", time=sfn.WaitTime.seconds_path("$waitSeconds"))
        again = {
            "polls.$": "States.MathAdd($polls, 1)",
            "waitSeconds.$": f"States.MathAdd($waitSeconds, {polling.growth_seconds})",
        }
        # Assigned if no condition ends the loop.
        self._judge = sfn.Choice(self, f"{title} (is it over?)", assign=again)
        self._check = check
        self._start.next(self._wait).next(check).next(self._judge)
        self._exhausted = sfn.Condition.number_greater_than_equals("$polls", polling.limit)

    def ends_when(self, condition: sfn.Condition, target: sfn.IChainable) -> "Poll":
        """Leaves the loop for target when the condition holds after a poll."""
        self._judge.when(condition, target)
        return self

    def goes_on_after_errors(self, result_path: str) -> "Poll":
        """Ignores a failed poll: the next one may succeed."""
        self._check.add_catch(self._judge, errors=["States.ALL"], result_path=result_path)
        return self

    def gives_up(self, target: sfn.IChainable) -> "Poll":
        """Leaves the loop for target after the last poll. Call it last."""
        self._judge.when(self._exhausted, target).otherwise(self._wait)
        return self
