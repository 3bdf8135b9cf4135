"""All constructs of a type in the stack, for dashboards and alarms."""

from typing import TypeVar

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn

from infra.foundation.functions import Function
from lambdas.runtime.telemetry_names import BROKEN_DOWN_BY, NAMESPACE, SERVICE, SERVICE_DIMENSION, Metric

Part = TypeVar("Part")


def functions(stack: cdk.Stack) -> list[Function]:
    """All of Hangdump's functions."""
    return _of(stack, Function)


def event_called(stack: cdk.Stack) -> list[Function]:
    """The functions that events call."""
    return [each for each in functions(stack) if each.is_event_called]


def state_machines(stack: cdk.Stack) -> list[sfn.StateMachine]:
    """All state machines."""
    return _of(stack, sfn.StateMachine)


def function_logs(stack: cdk.Stack) -> list[logs.ILogGroup]:
    """The log group of each function."""
    return [each.log_group for each in functions(stack)]


def state_machine_logs(stack: cdk.Stack) -> list[logs.LogGroup]:
    """The log group of each state machine."""
    of_functions = {each.node.path for each in function_logs(stack)}
    return [each for each in _of(stack, logs.LogGroup) if each.node.path not in of_functions]


def _of(stack: cdk.Stack, kind: type[Part]) -> list[Part]:
    return [each for each in stack.node.find_all() if isinstance(each, kind)]


def own_metric(metric: Metric, *, period: cdk.Duration, statistic: str = "Sum") -> cloudwatch.Metric:
    """A metric of the whole service."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=metric.value,
        dimensions_map={SERVICE_DIMENSION: SERVICE},
        period=period,
        statistic=statistic,
    )


def broken_down(metric: Metric, *, period: cdk.Duration, statistic: str = "Sum") -> cloudwatch.MathExpression:
    """One line for each value of the metric's dimension; new verdicts or reasons appear by themselves."""
    dimension = BROKEN_DOWN_BY[metric]
    search = f'{{{NAMESPACE},{SERVICE_DIMENSION},{dimension}}} MetricName="{metric.value}"'
    seconds = int(period.to_seconds())
    return cloudwatch.MathExpression(
        expression=f"SEARCH('{search} {SERVICE_DIMENSION}=\"{SERVICE}\"', '{statistic}', {seconds})",
        label=f"${{PROP('Dim.{dimension}')}}",
        period=period,
        using_metrics={},
    )
