"""The topic of the finished chat messages: subscribe it in Amazon Q Developer in chat applications."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from lambdas.events.schema import SOURCE, EventType

_EVENTBRIDGE = "events.amazonaws.com"


class ChatMessages(Construct):
    """One message for each event of an incident, and for an instance that needs somebody."""

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.Key) -> None:
        """`key` gets EventBridge as a user: EventBridge cannot publish under the account's SNS key."""
        super().__init__(scope, construct_id)
        # Without conditions: EventBridge sends neither aws:SourceAccount nor aws:SourceArn to SNS and KMS.
        eventbridge = [iam.ServicePrincipal(_EVENTBRIDGE)]
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=eventbridge, actions=["kms:Decrypt", "kms:GenerateDataKey*"], resources=["*"]
            )
        )
        self.topic = sns.Topic(self, "Topic", display_name="Hangdump chat messages", enforce_ssl=True, master_key=key)
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Events", principals=eventbridge, actions=["sns:Publish"], resources=[self.topic.topic_arn]
            )
        )
        readiness = EventType.READINESS_CHANGED.value
        self._send("Rule", "each event of an incident", {"detail-type": [{"anything-but": readiness}]})
        # A fleet that is enrolled without trouble is no news for people.
        needs_action = {"detail-type": [readiness], "detail": {"needsAction": [True]}}
        self._send("Readiness", "the event of an instance that needs somebody", needs_action)

    def _send(self, name: str, what: str, pattern: Mapping[str, Any]) -> None:
        rule = events.CfnRule(
            self,
            name,
            description=f"The chat message in {what}",
            event_pattern={"source": [SOURCE], **pattern},
            targets=[{"id": "Chat", "arn": self.topic.topic_arn, "inputPath": "$.detail.chat"}],
        )
        rule.node.add_dependency(self.topic)
