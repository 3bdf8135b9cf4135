"""The bounded loop: wait, look, judge, again. Owns the counter; the caller says what to look at and what ends it."""

from dataclasses import dataclass

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.states.tasks import ClosedFragment


@dataclass(frozen=True)
class Polling:
    """Look after first_seconds, then each time growth_seconds later than before, limit times."""

    first_seconds: int
    growth_seconds: int
    limit: int

    @property
    def total_seconds(self) -> int:
        """Time until the last look."""
        return self.limit * self.first_seconds + self.growth_seconds * self.limit * (self.limit - 1) // 2


def polling(timeout_seconds: int, first_seconds: int, *, max_polls: int) -> Polling:
    """Looks that cover the timeout, `max_polls` of them.

    A look costs a dozen events of an execution's 25,000, so intervals grow where constant ones would be too many.
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
    """`look` repeated until a condition given to ends_when holds, or the limit is reached.

    The counter and the interval are variables of the execution: no loop runs inside another.
    """

    def __init__(self, scope: Construct, title: str, *, look: sfn.CustomState, polling: Polling) -> None:
        super().__init__(scope, f"{title} loop")
        self._start = sfn.Pass(
            self, f"{title} (start waiting)", assign={"polls": 1, "waitSeconds": polling.first_seconds}
        )
        self._wait = sfn.Wait(self, f"{title} (wait)", time=sfn.WaitTime.seconds_path("$waitSeconds"))
        again = {
            "polls.$": "States.MathAdd($polls, 1)",
            "waitSeconds.$": f"States.MathAdd($waitSeconds, {polling.growth_seconds})",
        }
        # These are assigned where no condition ends the loop.
        self._judge = sfn.Choice(self, f"{title} (is it over?)", assign=again)
        self._look = look
        self._start.next(self._wait).next(look).next(self._judge)
        self._exhausted = sfn.Condition.number_greater_than_equals("$polls", polling.limit)

    def ends_when(self, condition: sfn.Condition, target: sfn.IChainable) -> "Poll":
        """Leave the loop for target when the condition holds after a look."""
        self._judge.when(condition, target)
        return self

    def goes_on_after_errors(self, result_path: str) -> "Poll":
        """A look that failed is one that saw nothing: the next one may do better."""
        self._look.add_catch(self._judge, errors=["States.ALL"], result_path=result_path)
        return self

    def gives_up(self, target: sfn.IChainable) -> "Poll":
        """Leave the loop for target after the last look; to be called last."""
        self._judge.when(self._exhausted, target).otherwise(self._wait)
        return self
