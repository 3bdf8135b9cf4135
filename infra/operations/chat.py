"""The topic of the finished chat messages: subscribe it in Amazon Q Developer in chat applications."""

from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from lambdas.events.schema import SOURCE

_EVENTBRIDGE = "events.amazonaws.com"


class ChatMessages(Construct):
    """One message for each event of Hangdump."""

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
        rule = events.CfnRule(
            self,
            "Rule",
            description="The chat message in each event of Hangdump",
            event_pattern={"source": [SOURCE]},
            targets=[{"id": "Chat", "arn": self.topic.topic_arn, "inputPath": "$.detail.chat"}],
        )
        rule.node.add_dependency(self.topic)
