"""render_report: the function that renders a report again, by hand or after an analysis, and the index every hour."""

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.foundation import grants
from infra.foundation.functions import Function, FunctionConfig
from infra.foundation.vmcore_bucket import (
    VmcoreBucket,
    bucket_and_key,
    bucket_environment,
    named_objects,
    named_objects_acknowledged,
)
from infra.parts import Parts
from infra.settings import Settings
from lambdas.incident.object_keys import ANALYSIS, INDEX_KEY, VMCORES, evidence_object_keys, keys
from lambdas.runtime import environment

_REPORT = keys(f"{VMCORES}*/")["report"]


def report_environment(vmcores: VmcoreBucket, settings: Settings) -> environment.ReportPages:
    """The environment of functions that write pages."""
    bucket = bucket_environment(vmcores).model_dump(exclude_unset=True)
    return environment.ReportPages(**bucket, vmcore_retention_days=settings.vmcore_retention_days)


class ReportPages(Construct):
    """The function and its schedule, which adds refusals to the index within an hour: they end no execution."""

    def __init__(self, scope: Construct, *, parts: Parts, settings: Settings) -> None:
        super().__init__(scope, "ReportPages")
        readable = _readable()
        self.function = Function(
            self,
            "render_report",
            shared=parts.shared,
            config=FunctionConfig(
                environment=[parts.incidents.records, report_environment(parts.vmcores, settings)],
                statements=[
                    grants.amend_incidents(parts.incidents.table),
                    grants.query_incidents(parts.incidents.table),
                    # Only these names: the function must not read a vmcore.
                    named_objects(parts.vmcores, readable, "s3:GetObject"),
                    named_objects(parts.vmcores, [_REPORT, INDEX_KEY], "s3:PutObject"),
                    *bucket_and_key(parts.vmcores),
                ],
                timeout_seconds=120,
                memory_mib=512,
                acknowledged=named_objects_acknowledged(parts.vmcores, [*readable, _REPORT]),
            ),
        )
        self.function.retry_when_asynchronous(parts.shared, for_minutes=30)
        events.Rule(
            self,
            "Schedule",
            description="Renders the index of all incidents",
            schedule=events.Schedule.rate(cdk.Duration.hours(1)),
            targets=[targets.LambdaFunction(self.function, event=events.RuleTargetInput.from_object({}))],
        )


def _readable() -> list[str]:
    prefix = f"{VMCORES}*/"
    names = keys(prefix)
    before = evidence_object_keys(prefix)
    read = [names[name] for name in ("dmesg", "log", "incident", "triage")]
    return [*read, prefix + ANALYSIS, before["consoleBefore"], before["screenshotBefore"]]


def write_index(vmcores: VmcoreBucket) -> iam.PolicyStatement:
    """Write the index of all incidents."""
    return named_objects(vmcores, [INDEX_KEY], "s3:PutObject")
