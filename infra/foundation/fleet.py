"""The table of enrolled instances: a row for each, and the bell that EnrolFleet answers.

Apart from the incidents: whatever holds up the writes of a fleet must not hold up the claim of an interrupt.
"""

from functools import partial

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.foundation.acknowledgements import OF_THE_FLEET_TABLE, acknowledge
from infra.settings import Settings
from lambdas.fleet.configuration import configuration_id
from lambdas.runtime import environment


class Fleet(Construct):
    """The table, and what functions are told of it."""

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
            # It holds no evidence, but the owners' overrides, which nobody else knows.
            removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        acknowledge(self.table, OF_THE_FLEET_TABLE)
        self.environment = environment.FleetTable(fleet_table_name=self.table.table_name)
        id_of = partial(
            configuration_id,
            hang_alarm_period_seconds=settings.hang_alarm_period_seconds,
            hang_alarm_evaluation_periods=settings.hang_alarm_evaluation_periods,
        )
        self.configuration = environment.Configuration(
            configuration_id=id_of(settings, dump_volume=settings.dump_volume),
            profile_configuration_ids={
                name: id_of(settings.overridden_by(profile), dump_volume=profile.dump_volume or settings.dump_volume)
                for name, profile in settings.profiles.items()
            },
        )

    def grant(self, *actions: str, keys: str = "") -> iam.PolicyStatement:
        """The actions on the table; with `keys`, only on items whose partition key is like it."""
        limited = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [keys]}}
        return iam.PolicyStatement(
            actions=[f"dynamodb:{each}" for each in actions],
            resources=[self.table.table_arn],
            conditions=limited if keys else None,
        )
