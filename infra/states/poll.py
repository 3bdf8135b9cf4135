"""The bounded loop: wait, look, judge, again. Owns the counter; the caller says what to look at and what ends it."""

from dataclasses import dataclass

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.states.tasks import ClosedFragment, note


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


def polling(timeout_seconds: int, first_seconds: int, *, at_most: int) -> Polling:
    """Looks that cover the timeout, `at_most` of them.

    A look costs a dozen events of an execution's 25,000, so intervals grow where constant ones would be too many.
    """
    growth_seconds = 0
    while True:
        limit, waited_seconds = 0, 0
        while waited_seconds < timeout_seconds and limit <= at_most:
            waited_seconds += first_seconds + growth_seconds * limit
            limit += 1
        if limit <= at_most:
            return Polling(first_seconds, growth_seconds, limit)
        growth_seconds += 1


class Poll(ClosedFragment):
    """`look` repeated until a condition given to ends_when holds, or the limit is reached."""

    def __init__(self, scope: Construct, title: str, *, look: sfn.CustomState, polling: Polling) -> None:
        super().__init__(scope, f"{title} loop")
        self._start = note(
            self,
            f"{title} (start waiting)",
            {"looks": 0, "waitSeconds": polling.first_seconds},
            keep_as="$.poll",
        )
        wait = sfn.Wait(self, f"{title} (wait)", time=sfn.WaitTime.seconds_path("$.poll.waitSeconds"))
        self._judge = sfn.Choice(self, f"{title} (is it over?)")
        count = note(
            self,
            f"{title} (count)",
            {
                "looks.$": "States.MathAdd($.poll.looks, 1)",
                "waitSeconds.$": f"States.MathAdd($.poll.waitSeconds, {polling.growth_seconds})",
            },
            keep_as="$.poll",
        )
        self._look = look
        self._start.next(wait).next(look).next(self._judge)
        self._again = count.next(wait)
        # The counter is raised after a look, so the look number `limit` sees limit - 1.
        self._exhausted = sfn.Condition.number_greater_than_equals("$.poll.looks", polling.limit - 1)

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
        self._judge.when(self._exhausted, target).otherwise(self._again)
        return self
