"""Makes a caught failure readable: its cause becomes the sentence that says what to do.

A function's error arrives as JSON with a stack trace, and a timed-out task has no cause.
"""

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.states.tasks import ClosedFragment, set_fields


class ExplainFailure(ClosedFragment):
    """Rewrites the {Error, Cause} at `$.failure` if needed, then leads to `then`."""

    def __init__(self, scope: Construct, title: str, *, then: sfn.IChainable) -> None:
        super().__init__(scope, f"{title} states")
        unexplained = set_fields(
            self,
            "Say that no cause was given",
            {
                "Error.$": "$.failure.Error",
                "Cause": "No cause was given; usually a task timed out. The execution's history names the state. It is "
                "safe to run it again.",
            },
            result_path="$.failure",
        )
        parse = set_fields(
            self,
            "Parse the function's error",
            {"Error.$": "$.failure.Error", "details.$": "States.StringToJson($.failure.Cause)"},
            result_path="$.failure",
        )
        keep = set_fields(
            self,
            "Keep the function's message",
            {"Error.$": "$.failure.Error", "Cause.$": "$.failure.details.errorMessage"},
            result_path="$.failure",
        )
        self._start = sfn.Choice(self, title)
        has_cause = sfn.Condition.and_(
            sfn.Condition.is_present("$.failure.Cause"),
            sfn.Condition.is_string("$.failure.Cause"),
            # States.Timeout has an empty cause.
            sfn.Condition.not_(sfn.Condition.string_equals("$.failure.Cause", "")),
        )
        # {"errorMessage": "vol-1 is in eu-west-1b, …", "errorType": "…", "stackTrace": […]}
        from_function = sfn.Condition.string_matches("$.failure.Cause", '{*"errorMessage"*}')
        self._start.when(sfn.Condition.not_(has_cause), unexplained.next(then))
        self._start.when(from_function, parse.next(keep).next(then))
        self._start.otherwise(then)
