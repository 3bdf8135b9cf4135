"""A log group kept for as many days as the settings say."""

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct


def log_group(scope: Construct, construct_id: str, *, name: str, retention_days: int) -> logs.LogGroup:
    """The group. It goes with the stack: its name is fixed, and one left behind would block the next deployment."""
    group = logs.LogGroup(scope, construct_id, log_group_name=name, removal_policy=cdk.RemovalPolicy.DESTROY)
    # The construct only takes an enumeration of words (THREE_MONTHS); settings.RetentionInDays has checked the number.
    cast("logs.CfnLogGroup", group.node.default_child).retention_in_days = retention_days
    return group
