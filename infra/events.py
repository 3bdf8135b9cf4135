"""publish_events: the function that tells the default bus what the records of incidents tell.

The table's stream calls it: whatever a function records is published, even if that function dies right after, and no
function waits for the bus. Lambda keeps the order of one record's changes.
"""

import json

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.foundation.functions import Function, FunctionConfig
from infra.parts import Parts
from lambdas.events.schema import SOURCE
from lambdas.runtime import environment

# With Lambda's growing waits of at most a minute these are hours. Then the change goes to the topic of failures, so
# that one change which cannot be published holds up those behind it no longer.
_ATTEMPTS = 200


class PublishEvents(Construct):
    """The function and its event source."""

    def __init__(self, scope: Construct, *, parts: Parts) -> None:
        super().__init__(scope, "PublishEvents")
        stack, table = cdk.Stack.of(self), parts.incidents.table
        stream_arn = table.table_stream_arn or ""
        bus = stack.format_arn(service="events", resource="event-bus", resource_name="default")
        self.function = Function(
            self,
            "publish_events",
            shared=parts.shared,
            config=FunctionConfig(
                environment=[environment.VmcoreBucketName(bucket_name=parts.vmcores.bucket.bucket_name)],
                statements=[
                    iam.PolicyStatement(
                        actions=["events:PutEvents"],
                        resources=[bus],
                        conditions={"StringEquals": {"events:source": SOURCE}},
                    ),
                    iam.PolicyStatement(
                        actions=["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
                        resources=[stream_arn],
                    ),
                    # It takes no resource.
                    iam.PolicyStatement(actions=["dynamodb:ListStreams"], resources=["*"]),
                    iam.PolicyStatement(actions=["sns:Publish"], resources=[parts.incidents.topic.topic_arn]),
                ],
            ),
        )
        source = lambda_.CfnEventSourceMapping(
            self,
            "Changes",
            function_name=self.function.function_name,
            event_source_arn=stream_arn,
            starting_position="TRIM_HORIZON",
            # One change at a time: no good one is sent again because of a bad one beside it.
            batch_size=1,
            maximum_retry_attempts=_ATTEMPTS,
            destination_config={"onFailure": {"destination": parts.incidents.topic.topic_arn}},
            filter_criteria={"filters": [{"pattern": json.dumps(_OF_INCIDENTS)}]},
        )
        # Lambda checks the role when the mapping is made.
        source.node.add_dependency(self.function)


# The table also holds claims, leases and notices.
_OF_INCIDENTS = {
    "eventName": ["INSERT", "MODIFY"],
    "dynamodb": {"Keys": {"pk": {"S": [{"prefix": "incident#"}]}}},
}
