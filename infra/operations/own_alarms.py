"""Alarms on Hangdump itself: failed functions, failed executions, sweeps with findings, missing sweeps.

They have a topic of their own, for the operators of Hangdump; incidents go to the other topic.
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


class OwnAlarms(Construct):
    """Create it last: it watches every function and state machine that the stack has then."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self.key = _key(self)
        self.topic = _topic(self, self.key, settings)
        self.alarms: list[cloudwatch.Alarm] = []
        stack = cdk.Stack.of(self)
        for function in event_called(stack):
            self._watch_function(function)
        for machine in state_machines(stack):
            self._watch_executions(machine)
        self._watch_errors(len(functions(stack)))
        self._watch_sweeps(settings)

    def _watch_function(self, function: lambda_.Function) -> None:
        """Watches a function that events call: nobody waits for its answer, so nobody else notices a failure."""
        name = function.node.id
        minutes = cdk.Duration.minutes(5)
        self._alarm(
            f"{name} fails",
            function.metric_errors(period=minutes, statistic="Sum"),
            f"{name} raised an error, or ran out of time or memory. Lambda retries it; see the saved query 'Errors'.",
        )
        lost = cloudwatch.MathExpression(
            expression="FILL(dropped, 0) + FILL(undelivered, 0)",
            label="events lost",
            period=minutes,
            using_metrics={
                # All retries failed, or the event is too old.
                "dropped": function.metric("AsyncEventsDropped", statistic="Sum"),
                "undelivered": function.metric("DestinationDeliveryFailures", statistic="Sum"),
            },
        )
        self._alarm(
            f"{name} lost an event",
            lost,
            f"Lambda gave up an event for {name}. It sends the event to the topic of incidents, if that works.",
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
            f"An execution of {name} failed or timed out. Its error says why; the saved query 'Failed executions' "
            "lists them.",
        )

    def _watch_errors(self, number_of_functions: int) -> None:
        self._alarm(
            "unexpected errors",
            own_metric(Metric.UNEXPECTED_ERRORS, period=cdk.Duration.minutes(5)),
            f"One of the {number_of_functions} functions raised an unexpected error: a bug in Hangdump, or a fault of "
            "AWS. The state machines retry; the saved query 'Errors' shows the function and the error.",
        )

    def _watch_sweeps(self, settings: Settings) -> None:
        hour = cdk.Duration.hours(1)
        self._alarm(
            "the sweep found something",
            own_metric(Metric.SWEEP_FINDINGS, period=hour),
            "The sweep found leftovers, or an instance tagged ready that is not. Its notification lists them.",
        )
        self._alarm(
            "the sweep could not look everywhere",
            own_metric(Metric.SWEEP_FAILURES, period=hour),
            "A search or a removal of the sweep failed. Its notification says which.",
        )
        # Two intervals, because a sweep may end a little before or after its hour.
        hours = 2 * settings.sweep_interval_hours
        self._alarm(
            "no sweep",
            own_metric(Metric.SWEEPS, period=hour),
            f"No sweep ended in {hours} hours: nobody finds leftovers and unready instances.",
            below_one_in=hours,
        )

    def _alarm(self, name: str, metric: cloudwatch.IMetric, description: str, *, below_one_in: int = 0) -> None:
        """Fires at the first datum above 0, or with `below_one_in` after that many periods without one."""
        operator = cloudwatch.ComparisonOperator
        missing = cloudwatch.TreatMissingData
        alarm = cloudwatch.Alarm(
            self,
            name,
            # Not `hangdump-…`: that is the prefix of hang alarms, which the sweep may remove.
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


def _key(scope: Construct) -> kms.Key:
    """The key of the topics that services of AWS publish to: they cannot use the account's SNS key."""
    key = kms.Key(
        scope,
        "Key",
        description="Encrypts the topic of Hangdump's alarms on itself",
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
    return key


def _topic(scope: Construct, key: kms.Key, settings: Settings) -> sns.Topic:
    account = cdk.Stack.of(scope).account
    topic = sns.Topic(scope, "Topic", display_name="Hangdump's own alarms", enforce_ssl=True, master_key=key)
    # The policy that enforces TLS replaces the default one, which allows the account's alarms.
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
