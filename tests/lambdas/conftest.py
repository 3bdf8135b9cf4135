"""The account that the handlers talk to, an enrolled instance in it, and time that passes only when somebody waits."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.client import BaseClient
from moto import mock_aws
from moto.ec2 import ec2_backends

from infra.read_settings import load
from lab.aws import dynamodb
from lab.aws.patches import Patches
from lambdas.handlers import respond_to_hang
from lambdas.incident import read_items
from lambdas.incident.index_fields import BY_SIGNATURE, BY_TIME, LISTED_UNDER, OPENED_AT, PROJECTED, REPEATS
from lambdas.instance import probe
from lambdas.respond import response, standby
from lambdas.runtime import clients, environment, moment
from lambdas.upload import multipart
from lambdas.upload.part_plan import PartPlan
from tests.lambdas import account as aws
from tests.lambdas import vmcores
from tests.lambdas.account import Account

_CLIENTS = (
    *(
        "ec2",
        "ec2_without_retries",
        "ec2_best_effort",
        "ssm",
        "ssm_short_retry",
        "cloudwatch",
        "cloudwatch_best_effort",
    ),
    *("dynamodb", "sns", "stepfunctions", "s3", "s3_best_effort", "s3_for_links", "sts", "autoscaling"),
    *("autoscaling_without_retries", "lambda_"),
)

INDEXES = {BY_TIME: LISTED_UNDER, BY_SIGNATURE: REPEATS}

_SETTINGS = load(
    {
        "zoneBudget": 3,
        "groupBudget": 3,
        "profiles": {"database": {"dumpLevel": 17, "sizeGib": 40, "finalAction": "poweroff"}},
    }
)
_OF_SETTINGS = (
    *(environment.InterruptLimits, environment.Standby, environment.EvidenceBound, environment.RescueInstancePlace),
    environment.TwinTypes,
    *(environment.UploadRates, environment.DumpDeadline, environment.DumpStall, environment.SweepPolicy),
    environment.ReportLink,
)
_ROLE = f"arn:aws:iam::{aws.ACCOUNT_ID}:role/Hangdump"
# What the template gives the functions, in one.
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": aws.REGION,
    "AWS_REGION": aws.REGION,
} | {
    name: value
    for model in (
        *(model.of(_SETTINGS) for model in _OF_SETTINGS),
        environment.RecordKeeping(table_name=aws.TABLE),
        environment.FleetTable(fleet_table_name=aws.FLEET_TABLE),
        environment.Configuration(
            configuration_id="settings-of-now", profile_configuration_ids={"database": "settings-of-database"}
        ),
        environment.CheckAssociation(check_association_id="our-association"),
        environment.Enrolment(
            fleet_limit=100,
            enrolments_per_minute=20,
            reboot_windows=[],
            reboots_per_group=1,
            reboots_per_zone=5,
            provision_dump_volume_arn=aws.PROVISION_ARN,
        ),
        environment.ReportPages(
            bucket_name=aws.BUCKET, key_arn=aws.KEY_ARN, upload_endpoint_url="", vmcore_retention_days=365
        ),
        environment.Collection(collect_vmcore_arn=aws.COLLECT_ARN),
        environment.Rescue(rescue_vmcore_arn=aws.RESCUE_ARN),
        environment.Analysis(analyze_vmcore_arn=aws.ANALYZE_ARN),
        environment.Drills(drill_dump_arn=aws.DRILL_ARN),
        environment.Probe(probe_document="Hangdump-probe_instance", probe_timeout_seconds=45),
        environment.ReturnFunction(return_from_standby="Hangdump-return_from_standby"),
        environment.KillSwitch(kill_switch_parameter="/hangdump/interrupts"),
        environment.UploaderRole(uploader_role_arn=f"{_ROLE}-uploader"),
        environment.ReaderRole(reader_role_arn=f"{_ROLE}-reader"),
        environment.FleetChecks(
            check_document="Hangdump-check_kdump", upload_document="Hangdump-upload_vmcore", mount_point="/var/crash"
        ),
        environment.Retirement(mount_point="/var/crash"),
        environment.Provisioning(
            dump_volume="attached",
            dump_volume_sizing="memory",
            dump_size_factor=2,
            minimum_dump_volume_gib=8,
            allow_reboot=False,
            document_settings=_SETTINGS.document_settings(),
            profiles=_SETTINGS.profiles,
        ),
    )
    for name, value in model.variables().items()
}


@dataclass
class Context:
    """The part of Lambda's context that Powertools and the handlers read."""

    function_name: str = "Hangdump-test"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = f"arn:aws:lambda:{aws.REGION}:{aws.ACCOUNT_ID}:function:Hangdump-test"
    aws_request_id: str = "request"
    remaining_milliseconds: int = 120_000

    def get_remaining_time_in_millis(self) -> int:
        """How long a delivery may be at work, and so holds its lease."""
        return self.remaining_milliseconds


class Clock:
    """Both clocks of the handlers: it moves only when told to, or when somebody sleeps."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        """In place of moment.now."""
        return self.at

    def monotonic(self) -> float:
        """In place of time.monotonic."""
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        """In place of time.sleep."""
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def context() -> Any:
    return Context()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(aws.NOW)
    monkeypatch.setattr(moment, "now", clock.now)
    for waiting in (probe, standby, response, read_items):
        monkeypatch.setattr(waiting, "time", clock)
    return clock


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    # moto loads 10,000 images otherwise, for each account; none is needed.
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    # The clients stay from test to test: they are slow to make, and moto stands behind whichever there are. Made here,
    # because boto3 does not make them thread-safely.
    for name in _CLIENTS:
        getattr(clients, name)()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts and batches of a size that tests can hold: the arithmetic has its own tests."""
    monkeypatch.setattr(
        multipart,
        "plan_parts",
        lambda size_bytes, **_: PartPlan(size_bytes, vmcores.PART_BYTES, vmcores.PARTS_PER_BATCH),
    )


@pytest.fixture
def account(variables: None, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An account with the stack's table, topic and state machine."""
    account = Account()
    patches = Patches()
    dynamodb.install(patches)
    with mock_aws():
        furnish(account, monkeypatch)
        forward = BaseClient._make_api_call  # type: ignore[attr-defined]

        def answer(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
            return account.answer(client, operation, parameters, lambda given: forward(client, operation, given))

        monkeypatch.setattr(BaseClient, "_make_api_call", answer)
        yield account
    patches.undo()


def furnish(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the template would have created."""
    clients.dynamodb().create_table(
        TableName=aws.TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", OPENED_AT, *INDEXES.values())
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": name,
                "KeySchema": [
                    {"AttributeName": attribute, "KeyType": "HASH"},
                    {"AttributeName": OPENED_AT, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(PROJECTED)},
            }
            for name, attribute in INDEXES.items()
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    clients.dynamodb().create_table(
        TableName=aws.FLEET_TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    account.topic_arn = clients.sns().create_topic(Name="hangdump")["TopicArn"]
    monkeypatch.setenv("TOPIC_ARN", account.topic_arn)
    definition = {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}
    for name in ("CollectVmcore", "RescueVmcore", "AnalyzeVmcore", "DrillDump"):
        clients.stepfunctions().create_state_machine(
            name=name,
            definition=json.dumps(definition),
            roleArn=f"arn:aws:iam::{aws.ACCOUNT_ID}:role/collect",
        )


Launch = Callable[..., str]


@pytest.fixture
def launch(account: Account) -> Launch:
    """Starts an instance; tags, type and start as given, enrolled and ready unless said otherwise."""

    def launch(
        *,
        instance_type: str = "t3.micro",
        tags: dict[str, str] | None = None,
        launched_at: datetime = aws.LAUNCHED_AT,
        client_token: str = "",
    ) -> str:
        if tags is None:
            tags = {"hangdump:enrolled": "true", "hangdump:ready": "2026-11-22T00:00:00Z"}
        ec2: Any = clients.ec2()  # the stubs want each type as a literal
        launched: str = ec2.run_instances(
            ImageId="ami-12c6146b",
            InstanceType=instance_type,
            MinCount=1,
            MaxCount=1,
            ClientToken=client_token,
        )["Instances"][0]["InstanceId"]
        # moto launches now; the tests live on another day.
        backend = ec2_backends[aws.ACCOUNT_ID][aws.REGION]
        backend.get_instance(launched).launch_time = launched_at
        if tags:
            ec2.create_tags(Resources=[launched], Tags=[{"Key": key, "Value": tags[key]} for key in tags])
        account.calls.clear()
        return launched

    return launch


@pytest.fixture
def instance_id(launch: Launch) -> str:
    """An enrolled, ready, running Nitro x86_64 instance that is hung: impaired, and the probe stays pending."""
    return launch()


Deliver = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def deliver(account: Account, context: Any) -> Deliver:
    """Hands an alarm's event to respond_to_hang."""
    return lambda event: respond_to_hang.handler(event, context)
