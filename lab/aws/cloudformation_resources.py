"""How each resource type that moto lacks, or gets wrong, is created from its template properties: one function each.

And how those are updated whose properties differ between releases; every other update is refused.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moto.awslambda_simple.models import lambda_simple_backends
from moto.backends import get_backend
from moto.cloudwatch.models import Dimension, Metric, MetricDataQuery, MetricStat
from moto.core.common_models import CloudFormationModel
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from lab.aws import state_manager


@dataclass
class Created:
    """A resource of ours: what Ref and Fn::GetAtt give."""

    physical_resource_id: str
    attributes: dict[str, Any] = field(default_factory=dict)
    remove: Callable[[], object] = lambda: None
    # CloudFormation's side, set by moto
    cf_resource_type: str = ""
    logical_resource_id: str = ""

    def is_created(self) -> bool:
        return True

    def delete(self, _account_id: str, _region: str) -> None:
        self.remove()

    def get_cfn_attribute(self, name: str) -> Any:
        if name not in self.attributes:
            raise KeyError(f"{self.cf_resource_type} of the lab has no attribute {name}")
        return self.attributes[name]


@dataclass(frozen=True)
class Wanted:
    """One resource of the template, its functions resolved."""

    name: str
    properties: dict[str, Any]
    account_id: str
    region: str
    # Creates it as moto does, for types that moto has but leaves half done.
    create_as_moto: Callable[[], CloudFormationModel]

    def backend(self, service: str) -> Any:
        return get_backend(service)[self.account_id][self.region]

    def bucket_backend(self) -> Any:
        return get_backend("s3")[self.account_id]["aws"]


Creator = Callable[[Wanted], Any]


def alarm(wanted: Wanted) -> Created:
    """moto: no such type."""
    p = wanted.properties
    name = p.get("AlarmName", wanted.name)
    backend = wanted.backend("cloudwatch")
    created = backend.put_metric_alarm(
        name=name,
        namespace=p.get("Namespace"),
        metric_name=p.get("MetricName"),
        metric_data_queries=[_metric_data_query(query) for query in p.get("Metrics", [])] or None,
        comparison_operator=p["ComparisonOperator"],
        evaluation_periods=int(p["EvaluationPeriods"]),
        period=int(p.get("Period", 0)),
        threshold=float(p["Threshold"]),
        statistic=p.get("Statistic"),
        description=p.get("AlarmDescription", ""),
        dimensions=p.get("Dimensions", []),
        alarm_actions=p.get("AlarmActions", []),
        datapoints_to_alarm=p.get("DatapointsToAlarm"),
        ok_actions=p.get("OKActions"),
        insufficient_data_actions=p.get("InsufficientDataActions"),
        actions_enabled=p.get("ActionsEnabled", True),
        treat_missing_data=p.get("TreatMissingData"),
    )
    return Created(name, {"Arn": created.alarm_arn}, lambda: backend.delete_alarms([name]))


def _metric_data_query(query: dict[str, Any]) -> MetricDataQuery:
    stat = None
    if "MetricStat" in query:
        s, m = query["MetricStat"], query["MetricStat"]["Metric"]
        dimensions = [Dimension(d["Name"], d["Value"]) for d in m.get("Dimensions", [])]
        stat = MetricStat(Metric(m["MetricName"], m["Namespace"], dimensions), s["Period"], s["Stat"], s.get("Unit"))
    return MetricDataQuery(
        query["Id"],
        query.get("Label"),
        query.get("Period"),
        query.get("ReturnData", True),
        query.get("Expression"),
        stat,
    )


def bucket(wanted: Wanted) -> Any:
    """moto: leaves versioning out."""
    created = wanted.create_as_moto()
    backend, p = wanted.bucket_backend(), wanted.properties
    if p.get("VersioningConfiguration", {}).get("Status") == "Enabled":
        backend.put_bucket_versioning(wanted.name, "Enabled")
    return created


def bucket_policy(wanted: Wanted) -> Created:
    """moto: no such type. Enforced by s3.py."""
    name = wanted.properties["Bucket"]
    policy = json.dumps(wanted.properties["PolicyDocument"]).encode()
    wanted.bucket_backend().put_bucket_policy(name, policy)
    return Created(name)


def managed_policy(wanted: Wanted) -> Created:
    """Real: it goes with the stack, unless it is attached. moto: it stays."""
    arn = wanted.create_as_moto().physical_resource_id
    policies = get_backend("iam")[wanted.account_id]["aws"].managed_policies

    def remove() -> None:
        if policies[arn].attachment_count:
            raise RuntimeError(f"{arn} is attached: IAM deletes no such policy")
        del policies[arn]

    return Created(arn, {"PolicyArn": arn}, remove)


def topic_policy(wanted: Wanted) -> Created:
    """moto: no such type."""
    for topic_arn in wanted.properties["Topics"]:
        policy = json.dumps(wanted.properties["PolicyDocument"])
        wanted.backend("sns").set_topic_attribute(topic_arn, "policy", policy)
    return Created(wanted.name)


def subscription(wanted: Wanted) -> Created:
    """moto: no such type. Mail goes nowhere."""
    p = wanted.properties
    created = wanted.backend("sns").subscribe(p["TopicArn"], p["Endpoint"], p["Protocol"])
    return Created(created.arn, {"Arn": created.arn})


def function(wanted: Wanted) -> Any:
    """moto: forgets the architecture, tracing, logging and layers of a function."""
    p = wanted.properties
    for unsupported in ("Layers", "VpcConfig", "ImageConfig", "DeadLetterConfig", "FileSystemConfigs"):
        if p.get(unsupported):
            raise NotImplementedError(f"{unsupported} of function {wanted.name} is not emulated")
    created: Any = wanted.create_as_moto()
    created.architectures = p.get("Architectures", ["x86_64"])
    created.tracing_config = p.get("TracingConfig") or created.tracing_config
    return created


def updated_function(wanted: Wanted, existing: Any) -> Any:
    existing.update_configuration(wanted.properties)
    existing.update_function_code(wanted.properties["Code"])
    return existing


def event_invoke_config(wanted: Wanted) -> Created:
    """moto: no such type, though it has the API."""
    p = wanted.properties
    if p["Qualifier"] != "$LATEST":
        raise NotImplementedError(f"qualifier {p['Qualifier']} of an EventInvokeConfig is not emulated")
    keys = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
    config = {key: p[key] for key in keys if key in p}
    for key in keys[:2]:
        if key in config:
            config[key] = int(config[key])
    lambda_simple_backends[wanted.account_id][wanted.region].put_function_event_invoke_config(p["FunctionName"], config)
    return Created(wanted.name)


def state_machine(wanted: Wanted) -> Created:
    """moto: creates it in the backend that executes nothing, and knows only DefinitionString."""
    p, backend = wanted.properties, stepfunctions_parser_backends[wanted.account_id][wanted.region]
    machine = backend.create_state_machine(
        p.get("StateMachineName", wanted.name),
        _definition(wanted),
        p["RoleArn"],
        tags=[{"key": t["Key"], "value": t["Value"]} for t in p.get("Tags", [])],
        loggingConfiguration=_lower_first(p.get("LoggingConfiguration")),
        tracingConfiguration=_lower_first(p.get("TracingConfiguration")),
        sm_type=p.get("StateMachineType", "STANDARD"),
    )
    return Created(
        machine.arn, {"Arn": machine.arn, "Name": machine.name}, lambda: backend.delete_state_machine(machine.arn)
    )


def updated_state_machine(wanted: Wanted, existing: Created) -> Created:
    """An execution that runs goes on with the definition that it began with."""
    stepfunctions_parser_backends[wanted.account_id][wanted.region].update_state_machine(
        existing.physical_resource_id, _definition(wanted), wanted.properties["RoleArn"]
    )
    return existing


def _definition(wanted: Wanted) -> str:
    p = wanted.properties
    if "DefinitionString" not in p:
        raise NotImplementedError(f"state machine {wanted.name}: only DefinitionString is emulated")
    definition: str = p["DefinitionString"]
    for key, value in p.get("DefinitionSubstitutions", {}).items():
        definition = definition.replace("${" + key + "}", str(value))
    return definition


def _lower_first(value: Any) -> Any:
    """CloudFormation's `IncludeExecutionData` as the API's `includeExecutionData`, all the way down."""
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: _lower_first(item) for key, item in value.items()}
    return [_lower_first(item) for item in value] if isinstance(value, list) else value


def association(wanted: Wanted) -> Created:
    """moto: no such type."""
    backend = wanted.backend("ssm")
    backend.get_document(wanted.properties["Name"], None, None, None)
    created = state_manager.create(backend, wanted.properties)
    kept = state_manager.associations(backend)
    name = created.association_id
    return Created(name, {"AssociationId": name}, remove=lambda: kept.pop(name, None))


def _updated_association(wanted: Wanted, existing: Created) -> Created:
    kept = state_manager.associations(wanted.backend("ssm"))
    kept[existing.physical_resource_id].properties = wanted.properties
    return existing


def document(wanted: Wanted) -> Created:
    """moto: keeps the content as a Python repr, which no agent and no GetDocument can read."""
    p = wanted.properties
    content = p["Content"] if isinstance(p["Content"], str) else json.dumps(p["Content"])
    name = p.get("Name", wanted.name)
    backend = wanted.backend("ssm")
    backend.create_document(
        content=content,
        requires=p.get("Requires"),
        attachments=p.get("Attachments"),
        name=name,
        version_name=p.get("VersionName"),
        document_type=p.get("DocumentType", "Command"),
        document_format=p.get("DocumentFormat", "JSON"),
        target_type=p.get("TargetType"),
        tags=p.get("Tags"),
    )
    return Created(name, remove=lambda: backend.delete_document(name, None, None, False))


def updated_document(wanted: Wanted, existing: Created) -> Created:
    """A new version, which does not become the default one (an open report to CloudFormation, 2026)."""
    p = wanted.properties
    content = p["Content"] if isinstance(p["Content"], str) else json.dumps(p["Content"])
    wanted.backend("ssm").update_document(
        content, p.get("Attachments"), existing.physical_resource_id, None, "$LATEST", "JSON", None
    )
    return existing


def parameter(wanted: Wanted) -> Any:
    """moto: expects the tags as its own API lists them; CloudFormation has a map."""
    p = wanted.properties
    p["Tags"] = [{"Key": key, "Value": value} for key, value in p.get("Tags", {}).items()]
    return wanted.create_as_moto()


def updated_parameter(wanted: Wanted, existing: Any) -> Any:
    """CloudFormation's handler writes the whole model, the value too, on any change but of tags."""
    p = wanted.properties
    given = (p["Name"], p.get("Description", ""), p["Value"], p["Type"], p.get("AllowedPattern", ""))
    wanted.backend("ssm").put_parameter(*given, None, True, [], "text", None, None)
    return existing


def table(wanted: Wanted) -> Any:
    """moto: forgets the time to live and point-in-time recovery."""
    created: Any = wanted.create_as_moto()
    backend, p = wanted.backend("dynamodb"), wanted.properties
    if "TimeToLiveSpecification" in p:
        backend.update_time_to_live(created.name, p["TimeToLiveSpecification"])
    if "PointInTimeRecoverySpecification" in p:
        backend.update_continuous_backups(created.name, p["PointInTimeRecoverySpecification"])
    return created


def key(wanted: Wanted) -> Any:
    """moto: expects the tags as its own API names them, and the policy as text."""
    p = wanted.properties
    p["KeyPolicy"] = json.dumps(p["KeyPolicy"])
    if "Tags" in p:
        p["Tags"] = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in p["Tags"]]
    return wanted.create_as_moto()


def dashboard(wanted: Wanted) -> Created:
    """moto: no such type, though it has the API. Nothing draws it; what is no JSON is refused."""
    name = wanted.properties.get("DashboardName", wanted.name)
    body = wanted.properties["DashboardBody"]
    if not json.loads(body).get("widgets"):
        raise ValueError(f"dashboard {name} has no widgets")
    backend = wanted.backend("cloudwatch")
    backend.put_dashboard(name, body)
    return Created(name, remove=lambda: backend.delete_dashboards([name]))


def query_definition(wanted: Wanted) -> Created:
    """moto: neither the type nor the API. Kept nowhere and never run; that its log groups exist is checked."""
    names = wanted.properties.get("LogGroupNames", [])
    missing = [each for each in names if each not in wanted.backend("logs").groups]
    if missing:
        raise ValueError(f"query {wanted.name} goes over log groups that do not exist: {missing}")
    return Created(f"query-{wanted.name}")


def cdk_metadata(wanted: Wanted) -> Created:
    """moto: no such type. Says which constructs were used; does nothing."""
    return Created(wanted.name)


# Type -> how it is created, and the property that names it ("" when there is none).
RESOURCES: dict[str, tuple[Creator, str]] = {
    "AWS::CDK::Metadata": (cdk_metadata, ""),
    "AWS::CloudWatch::Alarm": (alarm, "AlarmName"),
    "AWS::CloudWatch::Dashboard": (dashboard, "DashboardName"),
    "AWS::DynamoDB::Table": (table, "TableName"),
    "AWS::IAM::ManagedPolicy": (managed_policy, ""),
    "AWS::KMS::Key": (key, ""),
    "AWS::Lambda::EventInvokeConfig": (event_invoke_config, ""),
    "AWS::Lambda::Function": (function, "FunctionName"),
    "AWS::Logs::QueryDefinition": (query_definition, "Name"),
    "AWS::S3::Bucket": (bucket, "BucketName"),
    "AWS::S3::BucketPolicy": (bucket_policy, ""),
    "AWS::SNS::Subscription": (subscription, ""),
    "AWS::SNS::TopicPolicy": (topic_policy, ""),
    "AWS::SSM::Association": (association, ""),
    "AWS::SSM::Document": (document, "Name"),
    "AWS::SSM::Parameter": (parameter, "Name"),
    "AWS::StepFunctions::StateMachine": (state_machine, "StateMachineName"),
}

Updater = Callable[[Wanted, Any], Any]


def _put_again(create: Creator) -> Updater:
    return lambda wanted, _existing: create(wanted)


def _described(wanted: Wanted, existing: Any) -> Any:
    existing.description = wanted.properties.get("Description", "")
    return existing


def _updated_policy(wanted: Wanted, existing: Any) -> Any:
    document = json.dumps(wanted.properties["PolicyDocument"])
    # Of the whole account.
    backend = get_backend("iam")[wanted.account_id]["aws"]
    for role in wanted.properties["Roles"]:
        backend.put_role_policy(role, existing.policy_name, document)
    return existing


# Type -> the only properties that its update takes.
UPDATED_ALONE = {
    "AWS::Events::Rule": {"Description"},
    "AWS::IAM::Policy": {"PolicyDocument"},
    "AWS::IAM::Role": {"Description"},
    "AWS::KMS::Key": {"Description"},
    "AWS::Lambda::Function": {"Code", "Description", "Environment", "Handler", "MemorySize", "Timeout"},
    # Nothing expires here.
    "AWS::S3::Bucket": {"LifecycleConfiguration"},
}
# Type -> how it is updated in place.
UPDATES: dict[str, Updater] = {
    "AWS::CloudWatch::Alarm": _put_again(alarm),
    "AWS::CloudWatch::Dashboard": _put_again(dashboard),
    "AWS::Events::Rule": _described,
    "AWS::IAM::Policy": _updated_policy,
    "AWS::IAM::Role": _described,
    "AWS::KMS::Key": _described,
    "AWS::Lambda::Function": updated_function,
    "AWS::Logs::QueryDefinition": _put_again(query_definition),
    "AWS::S3::Bucket": lambda _wanted, existing: existing,
    "AWS::SSM::Association": _updated_association,
    "AWS::SSM::Document": updated_document,
    "AWS::SSM::Parameter": updated_parameter,
    "AWS::StepFunctions::StateMachine": updated_state_machine,
}
