"""publish_events: the function that tells the default bus what the records of incidents and of the fleet tell.

The tables' streams call it: whatever a function records is published, even if that function dies right after, and no
function waits for the bus. Lambda keeps the order of one record's changes.
"""

import json

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.foundation.fleet import Fleet
from infra.foundation.functions import Function, FunctionConfig
from infra.parts import Parts
from lambdas.events.schema import SOURCE
from lambdas.fleet.row import ROW_PREFIX
from lambdas.runtime import environment

# With Lambda's growing waits of at most a minute these are hours. Then the change goes to the topic of failures, so
# that one change which cannot be published holds up those behind it no longer.
_ATTEMPTS = 200
# Beside them the tables hold claims, leases, notices, and the bell.
_OF_INCIDENTS = "incident#"


class PublishEvents(Construct):
    """The function and its event sources."""

    def __init__(self, scope: Construct, *, parts: Parts, fleet: Fleet) -> None:
        super().__init__(scope, "PublishEvents")
        self._failures = parts.incidents.topic
        bus = cdk.Stack.of(self).format_arn(service="events", resource="event-bus", resource_name="default")
        tables = (parts.incidents.table, fleet.table)
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
                        resources=[_stream(table) for table in tables],
                    ),
                    # It takes no resource.
                    iam.PolicyStatement(actions=["dynamodb:ListStreams"], resources=["*"]),
                    iam.PolicyStatement(actions=["sns:Publish"], resources=[self._failures.topic_arn]),
                ],
            ),
        )
        self._read("Changes", parts.incidents.table, _OF_INCIDENTS)
        self._read("FleetChanges", fleet.table, ROW_PREFIX)

    def _read(self, name: str, table: dynamodb.Table, prefix: str) -> None:
        written = {"eventName": ["INSERT", "MODIFY"], "dynamodb": {"Keys": {"pk": {"S": [{"prefix": prefix}]}}}}
        source = lambda_.CfnEventSourceMapping(
            self,
            name,
            function_name=self.function.function_name,
            event_source_arn=_stream(table),
            starting_position="TRIM_HORIZON",
            # One change at a time: no good one is sent again because of a bad one beside it.
            batch_size=1,
            maximum_retry_attempts=_ATTEMPTS,
            destination_config={"onFailure": {"destination": self._failures.topic_arn}},
            filter_criteria={"filters": [{"pattern": json.dumps(written)}]},
        )
        # Lambda checks the role when the mapping is made.
        source.node.add_dependency(self.function)


def _stream(table: dynamodb.Table) -> str:
    return table.table_stream_arn or ""
