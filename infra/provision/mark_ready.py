"""The calls that arm an instance, set its ready tags and create its hang alarm, and the one that disarms it."""

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.settings import Settings
from infra.states.tasks import ApiCall, task
from lambdas.runtime.tags import (
    HANG_ALARM_PREFIX,
    READY_CONFIG_TAG,
    READY_KERNEL_TAG,
    READY_TAG,
    READY_TAGS,
    STACK,
    STACK_TAG,
)

# "2026-11-23T04:00:00.123Z" without its fraction; the split at "Z" handles a time without a fraction.
_NOW = "States.Format('{}Z', States.ArrayGetItem(States.StringSplit($$.State.EnteredTime, '.Z'), 0))"


def mark_instance_ready(scope: Construct, name: str, *, instance_id: str, kdump: str) -> sfn.CustomState:
    """Tags the instance with the time of its readiness, and its kernel and kdump configuration of then.

    Takes the paths of the instance's id and of the result of check_kdump.
    """
    parameters = {
        "Resources.$": f"States.Array({instance_id})",
        "Tags": [
            {"Key": READY_TAG, "Value.$": _NOW},
            {"Key": READY_KERNEL_TAG, "Value.$": f"{kdump}.kernel"},
            {"Key": READY_CONFIG_TAG, "Value.$": f"{kdump}.configId"},
        ],
    }
    return task(scope, name, ApiCall("ec2", "createTags", parameters))


def unmark_instance(scope: Construct, name: str, *, instance_id: str) -> sfn.CustomState:
    """Takes the ready tags away, whatever they say."""
    parameters = {"Resources.$": f"States.Array({instance_id})", "Tags": [{"Key": key} for key in READY_TAGS]}
    return task(scope, name, ApiCall("ec2", "deleteTags", parameters))


def put_hang_alarm(
    scope: Construct, name: str, *, settings: Settings, respond_to_hang: lambda_.IFunction
) -> sfn.CustomState:
    """Creates or updates the instance's alarm.

    Graviton gets one too, although EC2 cannot interrupt it: the refusal's notification reports the hang.
    """
    parameters = {
        "AlarmName.$": f"States.Format('{HANG_ALARM_PREFIX}{{}}', $.instanceId)",
        "AlarmDescription": "The operating system does not respond: Hangdump checks it and may interrupt it",
        "Namespace": "AWS/EC2",
        "MetricName": "StatusCheckFailed_Instance",
        "Dimensions": [{"Name": "InstanceId", "Value.$": "$.instanceId"}],
        "Statistic": "Maximum",
        "Period": settings.hang_alarm_period_seconds,
        "EvaluationPeriods": settings.hang_alarm_evaluation_periods,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        # A stopped instance sends no data, but does not hang.
        "TreatMissingData": "missing",
        "AlarmActions": [respond_to_hang.function_arn],
        "Tags": [{"Key": STACK_TAG, "Value": STACK}],
    }
    return task(scope, name, ApiCall("cloudwatch", "putMetricAlarm", parameters))
