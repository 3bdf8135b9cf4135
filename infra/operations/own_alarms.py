"""Alarms on Hangdump itself: functions that fail, executions that fail, sweeps that find something or do not come.

Owns their topic too. What hangs and what became of it goes to the topic of incidents; this is for who runs Hangdump.
"""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.operations.stack_parts import event_called, functions, own_metric, state_machines
from infra.settings import Settings
from lambdas.runtime.telemetry_names import Metric

_CLOUDWATCH = "cloudwatch.amazonaws.com"
# An alarm may look back over seven days at most, in periods of an hour.
_LONGEST_LOOK_BACK_HOURS = 7 * 24


class OwnAlarms(Construct):
    """To be composed last: it watches every function and state machine that the stack has by then."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self.topic = _topic(self, settings)
        self.alarms: list[cloudwatch.Alarm] = []
        stack = cdk.Stack.of(self)
        for function in event_called(stack):
            self._watch_function(function)
        for machine in state_machines(stack):
            self._watch_executions(machine)
        self._watch_errors(len(functions(stack)))
        self._watch_sweeps(settings)

    def _watch_function(self, function: lambda_.Function) -> None:
        """Nobody waits for its answer, so nobody else hears of its failure."""
        name = function.node.id
        minutes = cdk.Duration.minutes(5)
        self._alarm(
            f"{name} fails",
            function.metric_errors(period=minutes, statistic="Sum"),
            f"{name} raised, or ran out of time or memory. Lambda tries it again; see the saved query 'errors'.",
        )
        lost = cloudwatch.MathExpression(
            expression="FILL(dropped, 0) + FILL(undelivered, 0)",
            label="events lost",
            period=minutes,
            using_metrics={
                # Given up after all retries, or too old.
                "dropped": function.metric("AsyncEventsDropped", statistic="Sum"),
                "undelivered": function.metric("DestinationDeliveryFailures", statistic="Sum"),
            },
        )
        self._alarm(
            f"{name} lost an event",
            lost,
            f"An event for {name} was given up. What it was is in the topic of incidents, unless that failed too.",
        )

    def _watch_executions(self, machine: sfn.StateMachine) -> None:
        minutes = cdk.Duration.minutes(5)
        name = machine.node.scope.node.id if machine.node.scope else machine.node.id
        failed = cloudwatch.MathExpression(
            expression="FILL(failed, 0) + FILL(timed_out, 0)",
            label="executions failed or timed out",
            period=minutes,
            using_metrics={
                "failed": machine.metric_failed(statistic="Sum"),
                "timed_out": machine.metric_timed_out(statistic="Sum"),
            },
        )
        self._alarm(
            f"{name} failed",
            failed,
            f"An execution of {name} did not end well. Its error says why; the saved query 'failed executions' lists "
            "them.",
        )

    def _watch_errors(self, number_of_functions: int) -> None:
        self._alarm(
            "unexpected errors",
            own_metric(Metric.UNEXPECTED_ERRORS, period=cdk.Duration.minutes(5)),
            f"One of the {number_of_functions} functions raised what is no named error of Hangdump: a fault of it, or "
            "of AWS. The state machines try again; the saved query 'errors' says which and where.",
        )

    def _watch_sweeps(self, settings: Settings) -> None:
        hour = cdk.Duration.hours(1)
        self._alarm(
            "the sweep found something",
            own_metric(Metric.SWEEP_FINDINGS, period=hour),
            "Something was left behind, or an instance that says ready is not. The sweep's message lists it.",
        )
        self._alarm(
            "the sweep could not look everywhere",
            own_metric(Metric.SWEEP_FAILURES, period=hour),
            "A search or a removal of the sweep failed. Its message says which.",
        )
        # Two intervals, since a sweep comes a little sooner or later than the hour in which it is due.
        hours = min(2 * settings.sweep_interval_hours, _LONGEST_LOOK_BACK_HOURS)
        self._alarm(
            "no sweep",
            own_metric(Metric.SWEEPS, period=hour),
            f"No sweep ended in {hours} hours: what is left behind stays unseen.",
            below_one_in=hours,
        )

    def _alarm(self, name: str, metric: cloudwatch.IMetric, description: str, *, below_one_in: int = 0) -> None:
        """Tells at the first datum above 0, or with `below_one_in` when that many periods had none."""
        operator = cloudwatch.ComparisonOperator
        missing = cloudwatch.TreatMissingData
        alarm = cloudwatch.Alarm(
            self,
            name,
            # Not `hangdump-…`: that prefix is of the alarms on instances, which the sweep removes.
            alarm_name=f"Hangdump {name}",
            alarm_description=description,
            metric=metric,
            threshold=1,
            comparison_operator=operator.LESS_THAN_THRESHOLD
            if below_one_in
            else operator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=below_one_in or 1,
            treat_missing_data=missing.BREACHING if below_one_in else missing.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        self.alarms.append(alarm)


def _topic(scope: Construct, settings: Settings) -> sns.Topic:
    """A key of its own: CloudWatch cannot publish to a topic that the account's own SNS key encrypts."""
    account = cdk.Stack.of(scope).account
    key = kms.Key(
        scope,
        "Key",
        description="Encrypts Hangdump's alarms on itself on their way",
        enable_key_rotation=True,
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(_CLOUDWATCH)],
            actions=["kms:Decrypt", "kms:GenerateDataKey*"],
            resources=["*"],
        )
    )
    topic = sns.Topic(scope, "Topic", display_name="Hangdump's own alarms", enforce_ssl=True, master_key=key)
    # The policy that enforces TLS replaces the one that lets the account's own alarms in.
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            sid="OwnAlarms",
            principals=[iam.ServicePrincipal(_CLOUDWATCH)],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
            conditions={"StringEquals": {"aws:SourceAccount": account}},
        )
    )
    if settings.notification_email:
        topic.add_subscription(subscriptions.EmailSubscription(settings.notification_email))
    return topic
