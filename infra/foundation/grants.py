"""IAM statements that more than one function or machine needs; each grants the minimum.

Reads that AWS cannot limit to a resource are granted on `*`; CANNOT_BE_LIMITED is the reason for cdk-nag.
"""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_

from lambdas.incident.drill_keys import DRILL_KEYS, DRILL_PREFIX, PROOF_PREFIX
from lambdas.incident.index_fields import BY_SIGNATURE, BY_TIME
from lambdas.runtime.tags import (
    DISARMED_TAG,
    DUMP_VOLUME_RECORD_PREFIX,
    ENROLLED_TAG,
    HANG_ALARM_PREFIX,
    OWNER_TAG,
    PARKED_PREFIX,
    READY_TAGS,
    RETAIN_TAG,
    STACK_TAG,
)

CANNOT_BE_LIMITED = (
    "Most Describe calls of EC2, SSM and CloudWatch, GetCommandInvocation, PutMetricData and X-Ray's PutTraceSegments "
    "take no resource; they change nothing on an instance."
)
ANY_INSTANCE = (
    "Which instances take part is known by a tag, not by an ARN: what the grant allows is limited by a condition, to "
    "instances tagged hangdump:enrolled=true (for analyses hangdump:analysis-host=true), to volumes tagged by this "
    "stack, or to our own tag."
)

_ANY_EBS_KEY = (
    "Which keys encrypt the volumes of enrolled instances, and which account owns them, is not known when the stack is "
    "deployed: limited to the use by EC2 for a volume."
)
# cdk-nag's name for a grant on any snapshot.
ANY_SNAPSHOT = "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ec2:<AWS::Region>::snapshot/*]"
ALARM_PER_INSTANCE = "One alarm per instance, named by its id, which is not known when the stack is deployed."


def wildcard(arn_tail: str, *, account: str = "<AWS::AccountId>") -> str:
    """cdk-nag's name for a grant on `arn:<partition>:<service>:<region>:<account>:<rest>`, given as `service:rest`."""
    service, rest = arn_tail.split(":", 1)
    return f"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:{service}:<AWS::Region>:{account}:{rest}]"


def instances(stack: cdk.Stack) -> str:
    """The ARN of all instances of the account and Region; use it with a condition on a tag."""
    return stack.format_arn(service="ec2", resource="instance", resource_name="*")


def volumes(stack: cdk.Stack) -> str:
    """The ARN of all volumes of the account and Region; use it with a condition on a tag."""
    return stack.format_arn(service="ec2", resource="volume", resource_name="*")


def alarms(stack: cdk.Stack, name: str) -> str:
    """The ARN of alarms; `name` may hold a wildcard."""
    colon = cdk.ArnFormat.COLON_RESOURCE_NAME
    return stack.format_arn(service="cloudwatch", resource="alarm", resource_name=name, arn_format=colon)


def read(*actions: str) -> iam.PolicyStatement:
    """Reads that take no resource."""
    return iam.PolicyStatement(actions=list(actions), resources=["*"])


def invoke(*functions: lambda_.IFunction) -> iam.PolicyStatement:
    """Call our functions. `grant_invoke` would add every version and alias."""
    return iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[each.function_arn for each in functions])


def send_command(stack: cdk.Stack, document_names: list[str], *, tag: str = ENROLLED_TAG) -> list[iam.PolicyStatement]:
    """Run these documents, only on instances with this tag of their owner, and read the result."""
    on_instances = iam.PolicyStatement(
        actions=["ssm:SendCommand"],
        resources=[instances(stack)],
        conditions={"StringEquals": {f"ssm:resourceTag/{tag}": "true"}},
    )
    documents, result = run_documents(stack, document_names)
    return [documents, on_instances, result]


def run_documents(stack: cdk.Stack, document_names: list[str]) -> list[iam.PolicyStatement]:
    """Run these documents and read the result; on which instances, another statement says."""
    documents = [stack.format_arn(service="ssm", resource="document", resource_name=name) for name in document_names]
    return [iam.PolicyStatement(actions=["ssm:SendCommand"], resources=documents), read("ssm:GetCommandInvocation")]


def on_enrolled(stack: cdk.Stack, *actions: str) -> iam.PolicyStatement:
    """The actions on instances that their owner enrolled."""
    return iam.PolicyStatement(
        actions=list(actions),
        resources=[instances(stack)],
        conditions={"StringEquals": {f"aws:ResourceTag/{ENROLLED_TAG}": "true"}},
    )


def start_instances(stack: cdk.Stack) -> list[iam.PolicyStatement]:
    """Start enrolled instances. Without the right to grant EC2 the use of their volumes' customer keys, an instance
    returns from pending to stopped (Client.InternalError)."""
    return [on_enrolled(stack, "ec2:StartInstances"), lend_keys_of_volumes(stack)]


def lend_keys_of_volumes(stack: cdk.Stack) -> iam.PolicyStatement:
    """Let EC2 use the customer keys of volumes: it attaches volumes and starts instances with the caller's rights."""
    return iam.PolicyStatement(
        actions=["kms:CreateGrant"],
        resources=[_keys_of_volumes(stack)],
        conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}, **_through_ec2()},
    )


def use_keys_of_volumes(stack: cdk.Stack, *actions: str) -> iam.PolicyStatement:
    """Use the customer keys of volumes, through EC2 only."""
    return iam.PolicyStatement(actions=list(actions), resources=[_keys_of_volumes(stack)], conditions=_through_ec2())


def read_with_key(key: kms.IKey) -> iam.PolicyStatement:
    """Read objects that are encrypted with the key, through S3 only."""
    return iam.PolicyStatement(
        actions=["kms:Decrypt"],
        resources=[key.key_arn],
        conditions={"StringEquals": {"kms:ViaService": f"s3.{cdk.Aws.REGION}.{cdk.Aws.URL_SUFFIX}"}},
    )


# EC2 answers CreateVolume before it uses the key; without these rights the volume disappears.
CREATE_VOLUME_WITH_KEY = ("kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext")


def _keys_of_volumes(stack: cdk.Stack) -> str:
    # A central account may own the keys; its key policies must let this account in.
    return stack.format_arn(service="kms", account="*", resource="key", resource_name="*")


def _through_ec2() -> dict[str, dict[str, str]]:
    return {"StringEquals": {"kms:ViaService": f"ec2.{cdk.Aws.REGION}.{cdk.Aws.URL_SUFFIX}"}}


def keep_records(table: dynamodb.Table) -> iam.PolicyStatement:
    """Read and write items by key; no scan, and no table administration."""
    return iam.PolicyStatement(
        actions=["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
        resources=[table.table_arn],
    )


def claim_interrupts(table: dynamodb.Table) -> iam.PolicyStatement:
    """Read the cooldown and the budgets in one call; amend them and the incident."""
    return iam.PolicyStatement(
        actions=["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem"], resources=[table.table_arn]
    )


def note_suspects(table: dynamodb.Table) -> iam.PolicyStatement:
    """Read and write only what is known of suspects."""
    return _on_items(table, "suspect#*", "dynamodb:BatchGetItem", "dynamodb:PutItem")


def query_incidents(table: dynamodb.Table) -> iam.PolicyStatement:
    """Query incidents by time and by signature; the indexes hold nothing else."""
    indexes = [f"{table.table_arn}/index/{name}" for name in (BY_TIME, BY_SIGNATURE)]
    return iam.PolicyStatement(actions=["dynamodb:Query"], resources=indexes)


def list_incidents(table: dynamodb.Table) -> iam.PolicyStatement:
    """Query incidents by time."""
    return iam.PolicyStatement(actions=["dynamodb:Query"], resources=[f"{table.table_arn}/index/{BY_TIME}"])


def amend_incidents(table: dynamodb.Table) -> iam.PolicyStatement:
    """Read and update an incident's record."""
    return _on_items(table, "incident#*", "dynamodb:GetItem", "dynamodb:UpdateItem")


def update_incidents(table: dynamodb.Table) -> iam.PolicyStatement:
    """Update an incident's record."""
    return _on_items(table, "incident#*", "dynamodb:UpdateItem")


def provision_volumes(stack: cdk.Stack) -> list[iam.PolicyStatement]:
    """Create encrypted volumes with our tag; attach, detach and delete only volumes that carry it."""
    return [
        read("ec2:DescribeVolumes"),
        iam.PolicyStatement(
            actions=["ec2:CreateVolume"],
            resources=[volumes(stack)],
            conditions={
                "StringEquals": {f"aws:RequestTag/{STACK_TAG}": stack.stack_name},
                "Bool": {"ec2:Encrypted": "true"},
            },
        ),
        iam.PolicyStatement(
            actions=["ec2:CreateTags"],
            resources=[volumes(stack)],
            conditions={"StringEquals": {"ec2:CreateAction": "CreateVolume"}},
        ),
        _on_our_volumes(stack, "ec2:AttachVolume", "ec2:DetachVolume", "ec2:DeleteVolume"),
        on_enrolled(stack, "ec2:AttachVolume", "ec2:DetachVolume"),
        use_keys_of_volumes(stack, *CREATE_VOLUME_WITH_KEY),
        lend_keys_of_volumes(stack),
    ]


def remove_volumes(stack: cdk.Stack) -> list[iam.PolicyStatement]:
    """Detach volumes with our tag from enrolled instances, and delete them."""
    return [
        read("ec2:DescribeVolumes"),
        _on_our_volumes(stack, "ec2:DetachVolume", "ec2:DeleteVolume"),
        on_enrolled(stack, "ec2:DetachVolume"),
    ]


def delete_dump_volumes(stack: cdk.Stack) -> iam.PolicyStatement:
    """Delete dump volumes of this stack; not those that somebody has asked to keep."""
    return iam.PolicyStatement(
        actions=["ec2:DeleteVolume"],
        resources=[volumes(stack)],
        conditions={
            "StringEquals": {f"aws:ResourceTag/{STACK_TAG}": stack.stack_name},
            "Null": {f"aws:ResourceTag/{OWNER_TAG}": "false", f"aws:ResourceTag/{RETAIN_TAG}": "true"},
        },
    )


def snapshots(stack: cdk.Stack) -> str:
    """The ARN of all snapshots; it has no account."""
    return stack.format_arn(service="ec2", account="", resource="snapshot", resource_name="*")


def snapshot_dump_volumes(stack: cdk.Stack) -> list[iam.PolicyStatement]:
    """Take snapshots of dump volumes of this stack, with the same tags."""
    return [
        read("ec2:DescribeSnapshots"),
        _on_our_volumes(stack, "ec2:CreateSnapshot"),
        iam.PolicyStatement(
            actions=["ec2:CreateSnapshot"],
            resources=[snapshots(stack)],
            conditions={
                "StringEquals": {f"aws:RequestTag/{STACK_TAG}": stack.stack_name},
                "Null": {f"aws:RequestTag/{OWNER_TAG}": "false"},
            },
        ),
        iam.PolicyStatement(
            actions=["ec2:CreateTags"],
            resources=[snapshots(stack)],
            conditions={"StringEquals": {"ec2:CreateAction": "CreateSnapshot"}},
        ),
    ]


def volumes_from_parked(stack: cdk.Stack) -> iam.PolicyStatement:
    """Create volumes from the snapshots of parked dump volumes; how the volumes must be, another statement says."""
    return _on_parked_snapshots(stack, "ec2:CreateVolume")


def delete_parked_snapshots(stack: cdk.Stack) -> iam.PolicyStatement:
    """Delete snapshots of parked dump volumes, which are empty."""
    return _on_parked_snapshots(stack, "ec2:DeleteSnapshot")


def _on_parked_snapshots(stack: cdk.Stack, action: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=[action],
        resources=[snapshots(stack)],
        conditions={
            "StringEquals": {f"aws:ResourceTag/{STACK_TAG}": stack.stack_name},
            "Null": {f"aws:ResourceTag/{OWNER_TAG}": "false"},
        },
    )


def keep_parked(table: dynamodb.Table, *actions: str) -> iam.PolicyStatement:
    """The actions on the records of parked dump volumes."""
    return _on_items(table, f"{PARKED_PREFIX}*", *(f"dynamodb:{each}" for each in actions))


def forget_parked(stack: cdk.Stack, table: dynamodb.Table) -> list[iam.PolicyStatement]:
    """Look for the snapshot of a parked dump volume, delete it and the record."""
    return [
        keep_parked(table, "GetItem", "DeleteItem"),
        read("ec2:DescribeSnapshots"),
        delete_parked_snapshots(stack),
    ]


def _on_our_volumes(stack: cdk.Stack, *actions: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=list(actions),
        resources=[volumes(stack)],
        conditions={"StringEquals": {f"aws:ResourceTag/{STACK_TAG}": stack.stack_name}},
    )


def withdraw_opt_in(stack: cdk.Stack) -> iam.PolicyStatement:
    """Remove the owner's tag, and no other, from an instance."""
    return iam.PolicyStatement(
        actions=["ec2:DeleteTags"],
        resources=[instances(stack)],
        # ForAllValues is true without any key, and DeleteTags without keys deletes all tags.
        conditions={
            "ForAllValues:StringEquals": {"aws:TagKeys": [ENROLLED_TAG]},
            "Null": {"aws:TagKeys": "false"},
        },
    )


def mark_ready(stack: cdk.Stack) -> iam.PolicyStatement:
    """Set only the two ready tags, only on enrolled instances."""
    return iam.PolicyStatement(
        actions=["ec2:CreateTags"],
        resources=[instances(stack)],
        conditions={
            "StringEquals": {f"aws:ResourceTag/{ENROLLED_TAG}": "true"},
            "ForAllValues:StringEquals": {"aws:TagKeys": list(READY_TAGS)},
        },
    )


def disarm_instances(stack: cdk.Stack) -> iam.PolicyStatement:
    """Set only the tag that keeps an instance from being interrupted."""
    return iam.PolicyStatement(
        actions=["ec2:CreateTags"],
        resources=[instances(stack)],
        conditions={
            "StringEquals": {f"aws:ResourceTag/{ENROLLED_TAG}": "true"},
            "ForAllValues:StringEquals": {"aws:TagKeys": [DISARMED_TAG]},
        },
    )


def unmark_ready(stack: cdk.Stack) -> iam.PolicyStatement:
    """Remove the ready tags, also after the owner withdrew the opt-in."""
    return iam.PolicyStatement(
        actions=["ec2:DeleteTags"],
        resources=[instances(stack)],
        conditions={
            "ForAllValues:StringEquals": {"aws:TagKeys": list(READY_TAGS)},
            # ForAllValues is true without any key, and DeleteTags without keys deletes all tags.
            "Null": {"aws:TagKeys": "false"},
        },
    )


def arm_instances(stack: cdk.Stack, respond_to_hang: str) -> list[iam.PolicyStatement]:
    """Tag enrolled instances as ready or no longer so, and create hang alarms whose only action is this function."""
    hang_alarms = alarms(stack, f"{HANG_ALARM_PREFIX}*")
    return [
        mark_ready(stack),
        unmark_ready(stack),
        iam.PolicyStatement(
            actions=["cloudwatch:PutMetricAlarm"],
            resources=[hang_alarms],
            conditions={"ForAllValues:StringEquals": {"cloudwatch:AlarmActions": [respond_to_hang]}},
        ),
        iam.PolicyStatement(actions=["cloudwatch:TagResource"], resources=[hang_alarms]),
    ]


# The state machines that hold provisioning leases.
LEASE_HOLDERS = ("ProvisionDumpVolume", "RetireInstance")


def executions(stack: cdk.Stack, state_machine: str) -> str:
    """The ARN of all executions of a state machine."""
    return stack.format_arn(
        service="states",
        resource="execution",
        resource_name=f"{state_machine}:*",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )


def hold_lease(stack: cdk.Stack, table: dynamodb.Table) -> list[iam.PolicyStatement]:
    """Use the provisioning leases of the table, and check whether their executions still run."""
    return [
        _on_items(table, "provisioning#*", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"),
        iam.PolicyStatement(
            actions=["states:DescribeExecution"], resources=[executions(stack, each) for each in LEASE_HOLDERS]
        ),
    ]


def lease_acknowledged() -> Mapping[str, str]:
    """cdk-nag's finding on the executions that hold leases."""
    reason = "Reads whether the execution that holds a lease still runs; its name is known only then."
    return {wildcard(f"states:execution:{each}:*"): reason for each in LEASE_HOLDERS}


def record_dump_volumes(table: dynamodb.Table) -> iam.PolicyStatement:
    """Record for which instance a volume was created."""
    return _on_items(table, f"{DUMP_VOLUME_RECORD_PREFIX}*", "dynamodb:PutItem")


def read_dump_volume_records(table: dynamodb.Table) -> iam.PolicyStatement:
    """Read which volumes were created for which instance."""
    return _on_items(table, f"{DUMP_VOLUME_RECORD_PREFIX}*", "dynamodb:GetItem")


def count_rescues(table: dynamodb.Table) -> iam.PolicyStatement:
    """Note in the record of a dump volume that a rescue reads it."""
    return _on_items(table, f"{DUMP_VOLUME_RECORD_PREFIX}*", "dynamodb:UpdateItem")


def read_incidents(table: dynamodb.Table) -> iam.PolicyStatement:
    """Read only the incidents of the table."""
    return _on_items(table, "incident#*", "dynamodb:GetItem")


def read_crashes(table: dynamodb.Table) -> iam.PolicyStatement:
    """Read the last interrupts of instances, and their incidents."""
    return _on_items(table, ["instance#*", "incident#*"], "dynamodb:GetItem")


def read_incidents_and_drills(table: dynamodb.Table) -> iam.PolicyStatement:
    """Read only the incidents and the drills of the table."""
    return _on_items(table, ["incident#*", f"{DRILL_PREFIX}*"], "dynamodb:GetItem")


def read_incidents_and_proofs(table: dynamodb.Table) -> iam.PolicyStatement:
    """Read the incidents and what drills have proven."""
    return _on_items(table, ["incident#*", f"{PROOF_PREFIX}*"], "dynamodb:GetItem")


def keep_drills(table: dynamodb.Table, *actions: str) -> iam.PolicyStatement:
    """The actions on the records, limits and proofs of drills."""
    return _on_items(table, list(DRILL_KEYS), *(f"dynamodb:{each}" for each in actions))


def _on_items(table: dynamodb.Table, keys: str | list[str], *actions: str) -> iam.PolicyStatement:
    """The actions on items whose partition key is like `keys`."""
    return iam.PolicyStatement(
        actions=list(actions),
        resources=[table.table_arn],
        conditions={
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [keys] if isinstance(keys, str) else keys},
        },
    )


def any_instance_acknowledged() -> Mapping[str, str]:
    """cdk-nag's finding on a grant for all instances with a tag."""
    return {wildcard("ec2:instance/*"): ANY_INSTANCE}


def any_key_acknowledged() -> Mapping[str, str]:
    """cdk-nag's finding on a grant for all keys that EC2 uses for volumes."""
    return {wildcard("kms:key/*", account="*"): _ANY_EBS_KEY}
