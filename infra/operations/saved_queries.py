"""Saved CloudWatch Logs Insights queries for operators' questions; the run time defines their fields."""

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.operations.stack_parts import function_logs, state_machine_logs
from lambdas.runtime.telemetry_names import Line, LogField

# The fields that CloudWatch Logs adds for every function, and that Step Functions logs for every event. They are from
# AWS's documentation; no test here can check them.
OF_LAMBDA = ("@timestamp", "@message", "@log", "@type", "@duration", "@maxMemoryUsed", "@memorySize", "@initDuration")
OF_STEP_FUNCTIONS = ("@timestamp", "type", "execution_arn", "details.error", "details.cause", "details.name")

_AT, _WHO = "@timestamp", Line.FUNCTION_NAME
_ID, _INSTANCE = LogField.INCIDENT_ID, LogField.INSTANCE_ID


@dataclass(frozen=True)
class Query:
    """`question` is the query's name in the console."""

    question: str
    lines: Sequence[str]
    is_of_executions: bool = False


QUERIES = (
    Query(
        "What happened in one incident",
        (
            f"fields {_AT}, {_WHO}, {Line.LEVEL}, {Line.MESSAGE}",
            f"filter {_ID} = 'PUT THE INCIDENT ID HERE'",
            f"sort {_AT} asc",
            "limit 1000",
        ),
    ),
    Query(
        "What happened to one instance",
        (
            f"fields {_AT}, {_ID}, {_WHO}, {Line.MESSAGE}",
            f"filter {_INSTANCE} = 'PUT THE INSTANCE ID HERE'",
            f"sort {_AT} desc",
            "limit 1000",
        ),
    ),
    Query(
        "Why was it not interrupted",
        (
            f"fields {_AT}, {_INSTANCE}, {LogField.REASON}, {Line.MESSAGE}, {_ID}",
            f"filter {LogField.DECISION} != 'interrupt' and ispresent({LogField.REASON})",
            f"sort {_AT} desc",
        ),
    ),
    Query(
        "Which reasons refuse most",
        (
            f"filter {LogField.DECISION} != 'interrupt' and ispresent({LogField.REASON})",
            f"stats count(*) as refusals, count_distinct({_INSTANCE}) as instances by {LogField.REASON}",
            "sort refusals desc",
        ),
    ),
    Query(
        "Who was interrupted, and what did EC2 say",
        (
            f"fields {_AT}, {_INSTANCE}, {LogField.OUTCOME}, {Line.MESSAGE}, {_ID}",
            f"filter ispresent({LogField.OUTCOME})",
            f"sort {_AT} desc",
        ),
    ),
    Query(
        "How did incidents end",
        (
            f"fields {_AT}, {LogField.VERDICT}, {_INSTANCE}, {Line.MESSAGE}, {_ID}",
            f"filter ispresent({LogField.VERDICT})",
            f"sort {_AT} desc",
        ),
    ),
    Query(
        "How long did each phase take",
        (
            f"filter ispresent({LogField.DURATIONS}.totalSeconds)",
            f"stats count(*) as incidents, avg({LogField.DURATIONS}.alarmToInterruptSeconds) as alarmToInterrupt, "
            f"avg({LogField.DURATIONS}.interruptToOnlineSeconds) as interruptToOnline, "
            f"avg({LogField.DURATIONS}.uploadSeconds) as upload, "
            f"max({LogField.DURATIONS}.totalSeconds) as longest by bin(1d)",
        ),
    ),
    Query(
        "How does a dump go on",
        (
            f"fields {_AT}, {_INSTANCE}, {LogField.PHASE}, {Line.MESSAGE}, {_ID}",
            f"filter ispresent({LogField.PHASE})",
            f"sort {_AT} desc",
        ),
    ),
    Query(
        "What did the sweep find",
        (
            f"fields {_AT}, {LogField.FINDING}, {LogField.SUBJECT}, {_INSTANCE}, {Line.MESSAGE}",
            f"filter ispresent({LogField.FINDING})",
            f"sort {_AT} desc",
        ),
    ),
    Query(
        "Errors",
        (
            f"fields {_AT}, {_WHO}, {LogField.ERROR}, {Line.MESSAGE}, {_ID}, {LogField.EXECUTION}, @message",
            # The second condition: the runtime ended before our code could log an error.
            f"filter {Line.LEVEL} = 'ERROR' or @message like /Task timed out|Runtime\\.[A-Z]/",
            f"sort {_AT} desc",
        ),
    ),
    Query(
        "Which named errors ended a step",
        (
            f"filter {Line.LEVEL} = 'WARNING' and ispresent({LogField.ERROR})",
            f"stats count(*) as times, latest({Line.MESSAGE}) as last by {LogField.ERROR}, {_WHO}",
            "sort times desc",
        ),
    ),
    Query(
        "How near are functions to their limits",
        (
            "filter @type = 'REPORT'",
            "stats count(*) as calls, max(@duration) as longestMilliseconds, max(@initDuration) as coldMilliseconds, "
            "max(@maxMemoryUsed / @memorySize) as memoryShare by @log",
            "sort memoryShare desc",
        ),
    ),
    Query(
        "Failed executions",
        (
            f"fields {_AT}, execution_arn, type, details.error, details.cause",
            "filter type in ['ExecutionFailed', 'ExecutionTimedOut', 'ExecutionAborted']",
            f"sort {_AT} desc",
        ),
        is_of_executions=True,
    ),
)


class SavedQueries(Construct):
    """The queries, under `Hangdump/` in the console. Create it last: they read all log groups of the stack."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        of_functions, of_executions = function_logs(stack), state_machine_logs(stack)
        for query in QUERIES:
            groups = of_executions if query.is_of_executions else of_functions
            logs.CfnQueryDefinition(
                self,
                query.question,
                name=f"{stack.stack_name}/{query.question}",
                query_string="\n| ".join(query.lines),
                log_group_names=[each.log_group_name for each in groups],
            )
