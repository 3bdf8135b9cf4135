"""What the template promises, resource by resource."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.foundation import bundle
from infra.settings import Settings
from infra.synth import ROOT, synthesize
from lab.aws import bucket_policy
from lambdas.runtime.stack_parameter import FOR_THE_COMMAND_LINE, STACK_PARAMETER, Output, StackSettings
from tests.infra.template import MACHINES, Template, flatten

# Every entry point is a deployed function, and the other way round.
BEHAVIOURS = {path.stem for path in (ROOT / "lambdas" / "handlers").glob("[!_]*.py")}


def _bucket(template: Template, *, is_vmcores: bool) -> tuple[str, dict[str, Any]]:
    (found,) = [
        (logical_id, properties)
        for logical_id, properties in template.of_type("AWS::S3::Bucket").items()
        if ("LoggingConfiguration" in properties) is is_vmcores
    ]
    return found


def key_of_vmcores(template: Template) -> str:
    """Its logical id."""
    (alias,) = template.of_type("AWS::KMS::Alias").values()
    logical_id: str = alias["TargetKeyId"]["Fn::GetAtt"][0]
    return logical_id


def _bucket_policy(template: Template, bucket: str) -> list[dict[str, Any]]:
    (policy,) = [
        properties["PolicyDocument"]["Statement"]
        for properties in template.of_type("AWS::S3::BucketPolicy").values()
        if properties["Bucket"] == {"Ref": bucket}
    ]
    statements: list[dict[str, Any]] = policy
    return statements


def test_vmcores_are_encrypted_with_a_key_of_their_own(template: Template) -> None:
    _, bucket = _bucket(template, is_vmcores=True)
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    key_id = key_of_vmcores(template)
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == {"Fn::GetAtt": [key_id, "Arn"]}
    assert template.resources[key_id]["Properties"]["EnableKeyRotation"] is True


@pytest.mark.parametrize("is_vmcores", [True, False], ids=["vmcores", "access logs"])
def test_a_bucket_is_private_and_owned(template: Template, is_vmcores: bool) -> None:
    _, bucket = _bucket(template, is_vmcores=is_vmcores)
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


@pytest.mark.parametrize("is_vmcores", [True, False], ids=["vmcores", "access logs"])
def test_a_bucket_refuses_plain_http_and_old_tls(template: Template, is_vmcores: bool) -> None:
    logical_id, _ = _bucket(template, is_vmcores=is_vmcores)
    conditions = [
        statement["Condition"]
        for statement in _bucket_policy(template, logical_id)
        if statement["Effect"] == "Deny" and statement["Action"] == "s3:*"
    ]
    assert {"Bool": {"aws:SecureTransport": "false"}} in conditions
    assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in conditions


OUR_KEY = "the vmcores' key"
KMS = "x-amz-server-side-encryption-aws-kms-key-id"
SSE = "x-amz-server-side-encryption"


@pytest.mark.parametrize(
    ("headers", "decision"),
    [
        # UploadPart, as the instance sends it: it cannot name an encryption, the upload has one.
        ({}, "Neutral"),
        ({SSE: "aws:kms", KMS: OUR_KEY}, "Neutral"),
        ({SSE: "aws:kms", KMS: "another key"}, "Deny"),
        ({SSE: "AES256"}, "Deny"),
        ({"x-amz-server-side-encryption-customer-algorithm": "AES256"}, "Deny"),
    ],
    ids=["default", "our key", "another key", "S3's key", "the caller's key"],
)
def test_an_object_cannot_be_put_with_another_key(template: Template, headers: dict[str, str], decision: str) -> None:
    logical_id, _ = _bucket(template, is_vmcores=True)
    key_id = key_of_vmcores(template)
    text = json.dumps(_bucket_policy(template, logical_id))
    text = text.replace(json.dumps({"Fn::GetAtt": [key_id, "Arn"]}), json.dumps(OUR_KEY))
    statements = [each for each in json.loads(text) if each.get("Sid")]
    assert len(statements) == 3
    policy = {"Statement": [{**each, "Resource": "*"} for each in statements]}
    assert bucket_policy.decision(policy, action="s3:PutObject", resource="any", headers=headers) == decision


def test_what_nobody_needs_leaves_the_bucket_by_itself(template: Template) -> None:
    _, bucket = _bucket(template, is_vmcores=True)
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert rules["abort-incomplete-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert (rules["expire-manifests"]["Prefix"], rules["expire-manifests"]["ExpirationInDays"]) == ("manifests/", 1)
    assert (rules["expire-vmcores"]["Prefix"], rules["expire-vmcores"]["ExpirationInDays"]) == ("vmcores/", 365)
    assert {rule["Status"] for rule in rules.values()} == {"Enabled"}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}


def test_evidence_outlives_the_stack(template: Template) -> None:
    kept = {
        resource["Type"]
        for resource in template.resources.values()
        if (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")) == ("RetainExceptOnCreate", "Retain")
    }
    assert kept == {"AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::KMS::Key", "AWS::DynamoDB::Table"}


def test_the_tables_have_the_key_that_the_functions_use(template: Template) -> None:
    tables = template.of_type("AWS::DynamoDB::Table")
    assert len(tables) == 2
    for table in tables.values():
        assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expiresAtEpoch", "Enabled": True}
        assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
        assert table["BillingMode"] == "PAY_PER_REQUEST"
    # What holds up an index holds up its table: that of the fleet has none.
    (indexed,) = [logical_id for logical_id, table in tables.items() if "GlobalSecondaryIndexes" in table]
    assert indexed.startswith("Incidents")
    # What changes after an incident's end, or is large, is in none.
    for index in tables[indexed]["GlobalSecondaryIndexes"]:
        assert {"state", "timeline", "lastPhase", "upload"}.isdisjoint(index["Projection"]["NonKeyAttributes"])


def test_there_is_one_function_for_each_behaviour(functions: dict[str, dict[str, Any]]) -> None:
    assert set(functions) == {f"Hangdump-{verb_phrase}" for verb_phrase in BEHAVIOURS}
    for verb_phrase in BEHAVIOURS:
        assert functions[f"Hangdump-{verb_phrase}"]["Handler"] == f"lambdas.handlers.{verb_phrase}.handler"


def test_every_function_runs_the_newest_python_on_arm_and_is_traced(functions: dict[str, dict[str, Any]]) -> None:
    for name, function in functions.items():
        assert function["Runtime"] == f"python{bundle.PYTHON_VERSION}", name
        assert function["Architectures"] == ["arm64"], name
        assert bundle.PLATFORM.startswith("aarch64-")
        assert function["TracingConfig"] == {"Mode": "Active"}, name
        assert function["Timeout"] <= 900, name
        assert function["MemorySize"] >= 256, name


def test_every_function_is_observable_in_the_same_way(functions: dict[str, dict[str, Any]]) -> None:
    for function in functions.values():
        variables = function["Environment"]["Variables"]
        assert variables["POWERTOOLS_SERVICE_NAME"] == "hangdump"
        assert variables["POWERTOOLS_METRICS_NAMESPACE"] == "Hangdump"


def test_every_function_logs_to_a_group_that_is_kept_as_long_as_the_settings_say(
    template: Template, functions: dict[str, dict[str, Any]]
) -> None:
    groups = template.of_type("AWS::Logs::LogGroup")
    assert {group["RetentionInDays"] for group in groups.values()} == {90}
    for name, function in functions.items():
        assert groups[function["LoggingConfig"]["LogGroup"]["Ref"]]["LogGroupName"] == f"/aws/lambda/{name}"
    # One more for each state machine.
    assert len(groups) == len(functions) + len(MACHINES)


def test_what_events_call_is_retried_and_then_reported(template: Template) -> None:
    (topic,) = [each for each in template.of_type("AWS::SNS::Topic") if each.startswith("Incidents")]
    configured = template.of_type("AWS::Lambda::EventInvokeConfig").values()
    assert {flatten(each["FunctionName"]) for each in configured} == {
        "${" + logical_id + "}"
        for logical_id, function in template.of_type("AWS::Lambda::Function").items()
        if function["FunctionName"].removeprefix("Hangdump-")
        in ("respond_to_hang", "watch_fleet", "retire_instance", "render_report", "sweep", "return_from_standby")
    }
    for each in configured:
        assert each["MaximumRetryAttempts"] == 2
        assert each["DestinationConfig"] == {"OnFailure": {"Destination": {"Ref": topic}}}


def test_alarms_of_this_account_and_nobody_else_may_report_a_hang(template: Template) -> None:
    (permission,) = [
        each
        for each in template.of_type("AWS::Lambda::Permission").values()
        if each["Principal"] == "lambda.alarms.cloudwatch.amazonaws.com"
    ]
    assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}
    source = "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*"
    assert flatten(permission["SourceArn"]) == source
    assert "respondtohang" in flatten(permission["FunctionName"])


def test_a_terminated_instance_is_retired(template: Template) -> None:
    (rule,) = [
        each
        for each in template.of_type("AWS::Events::Rule").values()
        if each.get("EventPattern")
        == {
            "source": ["aws.ec2"],
            "detail-type": ["EC2 Instance State-change Notification"],
            "detail": {"state": ["terminated"]},
        }
    ]
    assert ["retireinstance" in flatten(target["Arn"]) for target in rule["Targets"]] == [True]


def test_tags_starts_failed_checks_and_the_hour_ring_the_bell_of_the_fleet(template: Template) -> None:
    (association,) = template.of_type("AWS::SSM::Association")
    rules = template.of_type("AWS::Events::Rule").values()
    ringing = [each for each in rules if "EnrolFleet" in flatten(each["Targets"][0]["Arn"])]
    assert {
        json.dumps(each.get("EventPattern", each.get("ScheduleExpression")), sort_keys=True) for each in ringing
    } == {
        '"rate(1 hour)"',
        '{"detail": {"changed-tag-keys": ["hangdump:enrolled", "hangdump:profile"], "resource-type": ["instance"], '
        '"service": ["ec2"]}, '
        '"detail-type": ["Tag Change on Resource"], "source": ["aws.tag"]}',
        '{"detail": {"state": ["running"]}, "detail-type": ["EC2 Instance State-change Notification"], '
        '"source": ["aws.ec2"]}',
        f'{{"detail": {{"association-id": [{{"Fn::GetAtt": ["{association}", "AssociationId"]}}], '
        '"status": ["Failed"]}, "detail-type": ["EC2 State Manager Instance Association State Change"], '
        '"source": ["aws.ssm"]}',
    }
    assert {each["State"] for each in ringing} == {"ENABLED"}


def test_every_tagged_instance_is_checked_however_many_fail(template: Template) -> None:
    (association,) = template.of_type("AWS::SSM::Association").values()
    assert association["Targets"] == [{"Key": "tag:hangdump:enrolled", "Values": ["true"]}]
    assert (association["MaxConcurrency"], association["MaxErrors"]) == ("100%", "100%")
    assert association["ScheduleExpression"] == "rate(6 hours)"
    assert association["Parameters"] == {"mountPoint": ["found"], "exitWhenNotReady": ["true"]}


def test_a_sweep_looks_every_day_for_what_was_left_behind(template: Template) -> None:
    assert "Sweepsweep" in _scheduled(template)["rate(1 day)"]


def test_a_sweep_follows_each_deployment(template: Template) -> None:
    """Until a first sweep the alarm about missing sweeps would be red: the schedule begins a day later."""
    rule = _of_source(template, "aws.cloudformation")
    assert rule["EventPattern"]["detail"] == {
        "stack-id": [{"Ref": "AWS::StackId"}],
        "status-details": {"status": ["CREATE_COMPLETE", "UPDATE_COMPLETE"]},
    }
    assert ["Sweepsweep" in flatten(target["Arn"]) for target in rule["Targets"]] == [True]


def test_the_fleet_is_watched_each_minute(template: Template) -> None:
    assert "HangResponsewatchfleet" in _scheduled(template)["rate(1 minute)"]


def test_the_index_of_incidents_is_drawn_every_hour(template: Template) -> None:
    assert "renderreport" in _scheduled(template)["rate(1 hour)"]


def _of_source(template: Template, source: str) -> dict[str, Any]:
    """The rule for events of this source."""
    rules: list[dict[str, Any]] = list(template.of_type("AWS::Events::Rule").values())
    (rule,) = [each for each in rules if each.get("EventPattern", {}).get("source") == [source]]
    return rule


def _scheduled(template: Template) -> dict[str, str]:
    rules = [each for each in template.of_type("AWS::Events::Rule").values() if "ScheduleExpression" in each]
    found: dict[str, str] = {}
    for rule in rules:
        targets = [flatten(target["Arn"]) for target in rule["Targets"]]
        found[rule["ScheduleExpression"]] = " ".join([found.get(rule["ScheduleExpression"], ""), *targets])
    return found


def test_the_outputs_name_what_a_user_needs(template: Template) -> None:
    assert set(template.content["Outputs"]) - {"CDKMetadata"} == {each.value for each in Output}


def test_the_parameter_of_the_stack_tells_the_command_line_all_that_it_calls(template: Template) -> None:
    (parameter,) = [
        each for each in template.of_type("AWS::SSM::Parameter").values() if each["Name"] == STACK_PARAMETER
    ]
    content = json.loads(flatten(parameter["Value"]))
    assert {"schemaVersion", "version", "stackName", "outputs", "settings"} == set(content)
    assert set(content["outputs"]) == {each.value for each in FOR_THE_COMMAND_LINE}
    assert StackSettings.read(content["settings"]) == StackSettings.of(Settings.model_validate({}))
    # A standard parameter has 4 KB; each reference becomes an ARN of at most 150 characters.
    assert len(flatten(parameter["Value"])) + 150 * len(FOR_THE_COMMAND_LINE) < 4096


def test_documents_are_replaced_by_a_new_version_and_never_deleted_under_a_running_command(template: Template) -> None:
    documents = template.of_type("AWS::SSM::Document")
    assert {document["Name"] for document in documents.values()} == {
        "Hangdump-prepare_dump_volume",
        "Hangdump-park_dump_volume",
        "Hangdump-configure_kdump",
        "Hangdump-unconfigure_kdump",
        "Hangdump-check_kdump",
        "Hangdump-upload_vmcore",
        "Hangdump-measure_dump",
        "Hangdump-mount_dump_copy",
        "Hangdump-analyze_vmcore",
        "Hangdump-probe_instance",
        "Hangdump-hang_instance",
    }
    assert {document["UpdateMethod"] for document in documents.values()} == {"NewVersion"}


def test_the_settings_arrive_where_they_matter(tmp_path: Path) -> None:
    changed = {
        "dryRun": True,
        "probeTimeoutSeconds": 15,
        "pollSeconds": 2,
        "uploadTimeoutSeconds": 7200,
        "uploadEndpointUrl": "http://10.0.2.100",
        "logRetentionDays": 30,
        "vmcoreRetentionDays": 0,
        "notificationEmail": "oncall@example.com",
        "volumeThroughputMibs": 500,
        "hangAlarmPeriodSeconds": 300,
    }
    template = Template.read(synthesize(tmp_path, changed))
    functions = {each["FunctionName"]: each for each in template.of_type("AWS::Lambda::Function").values()}
    respond = functions["Hangdump-respond_to_hang"]
    assert respond["Environment"]["Variables"]["DRY_RUN"] == "true"
    assert respond["Timeout"] > 15
    plan_upload = functions["Hangdump-plan_upload"]["Environment"]["Variables"]
    assert plan_upload["UPLOAD_ENDPOINT_URL"] == "http://10.0.2.100"
    assert {group["RetentionInDays"] for group in template.of_type("AWS::Logs::LogGroup").values()} == {30}
    _, bucket = _bucket(template, is_vmcores=True)
    assert "expire-vmcores" not in [rule["Id"] for rule in bucket["LifecycleConfiguration"]["Rules"]]
    # To the incidents, and to what goes wrong with Hangdump itself.
    subscriptions = template.of_type("AWS::SNS::Subscription").values()
    assert [each["Endpoint"] for each in subscriptions] == ["oncall@example.com"] * 2
    provision = template.machine("ProvisionDumpVolume")
    assert provision.states["Create dump volume"]["Parameters"]["Throughput"] == 500
    assert provision.states["Put hang alarm"]["Parameters"]["Period"] == 300
    assert provision.states["Prepare dump volume (start waiting)"]["Assign"]["waitSeconds"] == 2
    upload = next(d for d in template.of_type("AWS::SSM::Document").values() if d["Name"] == "Hangdump-upload_vmcore")
    assert upload["Content"]["mainSteps"][0]["inputs"]["timeoutSeconds"] == "7200"
