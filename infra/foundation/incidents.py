"""The incident table, the topic for notifications, and the kill switch."""

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.foundation.acknowledgements import OF_THE_TABLE, acknowledge
from infra.settings import Settings
from lambdas.incident.index_fields import BY_SIGNATURE, BY_TIME, LISTED_UNDER, OPENED_AT, PROJECTED, REPEATS
from lambdas.runtime import environment
from lambdas.runtime.stack_parameter import KILL_SWITCH_PARAMETER


class Incidents(Construct):
    """The table of incidents, leases and budgets, the topic, and the parameter that stops all interrupts."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="expiresAtEpoch",
            # infra/events.py reads it.
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
            removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        for name, attribute in ((BY_TIME, LISTED_UNDER), (BY_SIGNATURE, REPEATS)):
            self.table.add_global_secondary_index(
                index_name=name,
                partition_key=dynamodb.Attribute(name=attribute, type=dynamodb.AttributeType.STRING),
                sort_key=dynamodb.Attribute(name=OPENED_AT, type=dynamodb.AttributeType.STRING),
                projection_type=dynamodb.ProjectionType.INCLUDE,
                non_key_attributes=list(PROJECTED),
            )
        acknowledge(self.table, OF_THE_TABLE)
        self.topic = sns.Topic(
            self,
            "Topic",
            display_name="Hangdump incidents",
            enforce_ssl=True,
            # The account's SNS key: functions of this account may use it without a grant, so none needs the vmcores'
            # key just to publish.
            master_key=kms.Alias.from_alias_name(self, "TopicKey", "alias/aws/sns"),
        )
        # Not a setting: an operator changes it with one call, and a deployment must not change it back. CloudFormation
        # writes the value again whenever another property changes, the description too: none may ever change.
        self.kill_switch = ssm.StringParameter(
            self,
            "KillSwitch",
            parameter_name=KILL_SWITCH_PARAMETER,
            string_value="on",
            allowed_pattern="^(on|off)$",
            description="on: hung instances may be interrupted. off: Hangdump interrupts nothing, whoever asks.",
        )
        self.records = environment.RecordKeeping(table_name=self.table.table_name)
        self.notifications = environment.Notifications(topic_arn=self.topic.topic_arn)
        if settings.notification_email:
            self.topic.add_subscription(subscriptions.EmailSubscription(settings.notification_email))
