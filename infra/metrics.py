"""Our own metrics as the dashboard and the alarms ask for them; their names are those of the run time."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch

from lambdas.metric_names import BROKEN_DOWN_BY, NAMESPACE, SERVICE, SERVICE_DIMENSION, Metric


def own_metric(metric: Metric, *, period: cdk.Duration, statistic: str = "Sum") -> cloudwatch.Metric:
    """Of the whole service."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=metric.value,
        dimensions_map={SERVICE_DIMENSION: SERVICE},
        period=period,
        statistic=statistic,
    )


def broken_down(metric: Metric, *, period: cdk.Duration, statistic: str = "Sum") -> cloudwatch.MathExpression:
    """A line for each value of its dimension that there is: a new verdict or reason shows by itself."""
    dimension = BROKEN_DOWN_BY[metric]
    search = f'{{{NAMESPACE},{SERVICE_DIMENSION},{dimension}}} MetricName="{metric.value}"'
    seconds = int(period.to_seconds())
    return cloudwatch.MathExpression(
        expression=f"SEARCH('{search} {SERVICE_DIMENSION}=\"{SERVICE}\"', '{statistic}', {seconds})",
        label=f"${{PROP('Dim.{dimension}')}}",
        period=period,
        using_metrics={},
    )
