"""Starts an execution of another state machine, and watches it to its end."""

from collections.abc import Mapping

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.states.poll import Poll, Polling
from infra.states.tasks import ApiCall, task


def start_execution(  # noqa: PLR0913 - what the call takes
    scope: Construct, title: str, *, machine_arn: str, name: str, given: str, result_path: str, comment: str = ""
) -> sfn.CustomState:
    """`name` and `given`, its input, are paths; the result has its `executionArn`.

    The name is chosen before, so that a retry after a lost answer finds the same execution.
    """
    call = ApiCall(
        "sfn",
        "startExecution",
        {"StateMachineArn": machine_arn, "Name.$": name, "Input.$": f"States.JsonToString({given})"},
        {"executionArn.$": "$.ExecutionArn"},
    )
    return task(scope, title, call, result_path=result_path, comment=comment)


def watch_execution(  # noqa: PLR0913 - what differs from one loop to the next
    scope: Construct,
    title: str,
    *,
    look: str,
    execution_arn: str,
    result_path: str,
    polling: Polling,
    then: sfn.IChainable,
    late: sfn.IChainable,
    kept: Mapping[str, str] | None = None,
) -> sfn.State:
    """The first state of a loop of `look` that leads to `then` at the end, or to `late`.

    `execution_arn` is a path; the result is what DescribeExecution answers, or what `kept` selects, with its `Status`
    or `status`. It is unknown before the first poll, and may stay so.
    """
    check = task(
        scope,
        look,
        ApiCall("sfn", "describeExecution", {"ExecutionArn.$": execution_arn}, kept),
        result_path=result_path,
    )
    status = "status" if kept else "Status"
    loop = Poll(scope, title, check=check, polling=polling)
    loop.ends_when(sfn.Condition.not_(sfn.Condition.string_equals(f"{result_path}.{status}", "RUNNING")), then)
    loop.goes_on_after_errors("$.unseen").gives_up(late)
    return loop.start_state
