"""What both functions that may send the diagnostic interrupt are told and may do; the decision is lambdas' own."""

import json

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.foundation import grants
from infra.foundation.incidents import Incidents
from infra.foundation.vmcore_bucket import VmcoreBucket, any_key_acknowledged, bucket_environment, objects
from infra.settings import Settings
from infra.states.run_document import DocumentRunner
from lambdas.incident.object_keys import VMCORES

PROBE = "probe_instance"


def probe_environment(runner: DocumentRunner, settings: Settings) -> dict[str, str]:
    """For whoever asks an instance whether it still executes anything."""
    return {
        "PROBE_DOCUMENT": runner.documents.name(PROBE),
        "PROBE_TIMEOUT_SECONDS": str(settings.probe_timeout_seconds),
    }


def probe_statements(scope: Construct, runner: DocumentRunner) -> list[iam.PolicyStatement]:
    """Run the probe, and no other document, on enrolled instances; see whether the agent is connected at all."""
    return [
        *grants.send_command(cdk.Stack.of(scope), [runner.documents.name(PROBE)]),
        grants.read("ssm:DescribeInstanceInformation"),
    ]


def gate_environment(incidents: Incidents, settings: Settings) -> dict[str, str]:
    """The record and the policy's limits."""
    return {
        "TABLE_NAME": incidents.table.table_name,
        "COOLDOWN_SECONDS": str(settings.cooldown_seconds),
        "FLEET_BUDGET": str(settings.fleet_budget),
        "ZONE_BUDGET": str(settings.zone_budget),
        "GROUP_BUDGET": str(settings.group_budget),
        "FLEET_BUDGET_WINDOW_SECONDS": str(settings.fleet_budget_window_seconds),
        "BOOT_GRACE_SECONDS": str(settings.boot_grace_seconds),
        "READY_MAX_AGE_DAYS": str(settings.ready_max_age_days),
        "READY_ACROSS_BOOTS": str(settings.ready_across_boots).lower(),
        "MAINTENANCE_WINDOWS": json.dumps(settings.maintenance_windows),
        "DRY_RUN": str(settings.dry_run).lower(),
        "KILL_SWITCH_PARAMETER": incidents.kill_switch.parameter_name,
    }


def gate_statements(scope: Construct, incidents: Incidents) -> list[iam.PolicyStatement]:
    """Gather evidence, claim, send the interrupt to an enrolled instance."""
    stack = cdk.Stack.of(scope)
    return [
        grants.read(
            "ec2:DescribeInstances",
            "ec2:DescribeInstanceStatus",
            "ec2:DescribeInstanceTypes",
            "ec2:GetConsoleOutput",
            # Alarms that would reboot, recover, stop or terminate the instance themselves.
            "cloudwatch:DescribeAlarmsForMetric",
            # Whether the alarm and the hang alarm are muted, and the children of a composite alarm; CloudWatch shows
            # those only to a grant on everything.
            "cloudwatch:DescribeAlarms",
        ),
        grants.keep_records(incidents.table),
        grants.count_interrupts(incidents.table),
        grants.send_diagnostic_interrupt(stack),
        iam.PolicyStatement(actions=["ssm:GetParameter"], resources=[incidents.kill_switch.parameter_arn]),
    ]


_BEFORE = f"{VMCORES}*/before/"


def beforehand_environment(vmcores: VmcoreBucket, settings: Settings) -> dict[str, str]:
    """Where evidence goes, and how long an interrupt waits for it."""
    return {**bucket_environment(vmcores), "EVIDENCE_TIMEOUT_SECONDS": str(settings.evidence_timeout_seconds)}


def beforehand_statements(scope: Construct, vmcores: VmcoreBucket) -> list[iam.PolicyStatement]:
    """See an enrolled instance's screen and metrics, and write below before/; read nothing of the bucket."""
    return [
        grants.see_screen(cdk.Stack.of(scope)),
        grants.read("cloudwatch:GetMetricData"),
        objects(vmcores, _BEFORE, "s3:PutObject"),
        iam.PolicyStatement(actions=["kms:GenerateDataKey"], resources=[vmcores.key.key_arn]),
    ]


def beforehand_acknowledged(vmcores: VmcoreBucket) -> dict[str, str]:
    """For cdk-nag."""
    return any_key_acknowledged(vmcores, _BEFORE)
