"""The environment and permissions of functions that probe an instance or send the diagnostic interrupt.

lambdas/respond decides when to interrupt.
"""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.foundation import grants
from infra.foundation.functions import FunctionConfig
from infra.foundation.vmcore_bucket import any_key_acknowledged, bucket_environment, objects, write_with_key
from infra.parts import Parts
from infra.respond.standby import enter_standby
from infra.settings import Settings
from infra.states.run_document import DocumentRunner
from lambdas.incident.object_keys import VMCORES
from lambdas.runtime import environment

PROBE = "probe_instance"
_BEFORE = f"{VMCORES}*/before/"


def probe(scope: Construct, runner: DocumentRunner, settings: Settings) -> FunctionConfig:
    """Run only the probe on enrolled instances, and read whether the agent is connected."""
    document = runner.documents.name(PROBE)
    return FunctionConfig(
        environment=[environment.Probe(probe_document=document, probe_timeout_seconds=settings.probe_timeout_seconds)],
        statements=[
            *grants.send_command(cdk.Stack.of(scope), [document]),
            grants.read("ssm:DescribeInstanceInformation"),
        ],
        timeout_seconds=settings.probe_timeout_seconds + 60,
        acknowledged=grants.any_instance_acknowledged(),
    )


def interrupt(scope: Construct, parts: Parts, settings: Settings) -> FunctionConfig:
    """Gather evidence, claim, store evidence, enter Standby, interrupt an enrolled instance."""
    return (
        _decide_and_claim(scope, parts, settings)
        | _store_evidence(scope, parts, settings)
        | enter_standby(scope, settings)
    )


def announce(parts: Parts) -> FunctionConfig:
    """Tell people at once of an interrupt or a refusal."""
    topic = parts.incidents.topic
    return FunctionConfig(
        environment=[parts.incidents.notifications],
        statements=[iam.PolicyStatement(actions=["sns:Publish"], resources=[topic.topic_arn])],
    )


def _decide_and_claim(scope: Construct, parts: Parts, settings: Settings) -> FunctionConfig:
    incidents = parts.incidents
    return FunctionConfig(
        environment=[
            incidents.records,
            environment.InterruptLimits.of(settings),
            environment.KillSwitch(kill_switch_parameter=incidents.kill_switch.parameter_name),
        ],
        statements=[
            grants.read(
                "ec2:DescribeInstances",
                "ec2:DescribeInstanceStatus",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeInstanceCreditSpecifications",
                "ec2:DescribeSnapshots",
                # Alarms whose action reboots, recovers, stops or terminates the instance.
                "cloudwatch:DescribeAlarmsForMetric",
                # Whether the alarm or the hang alarm is muted, and the children of a composite alarm. CloudWatch
                # describes composite alarms only with a grant on all resources.
                "cloudwatch:DescribeAlarms",
                # The agent's last ping, and what the hypervisor counts.
                "ssm:DescribeInstanceInformation",
                "cloudwatch:GetMetricData",
            ),
            grants.claim_interrupts(incidents.table),
            grants.on_enrolled(cdk.Stack.of(scope), "ec2:GetConsoleOutput", "ec2:SendDiagnosticInterrupt"),
            iam.PolicyStatement(actions=["ssm:GetParameter"], resources=[incidents.kill_switch.parameter_arn]),
        ],
        timeout_seconds=settings.standby_timeout_seconds + 120,
        acknowledged=grants.any_instance_acknowledged(),
    )


def _store_evidence(scope: Construct, parts: Parts, settings: Settings) -> FunctionConfig:
    """Read an enrolled instance's screen, and write below before/; read nothing from the bucket."""
    return FunctionConfig(
        environment=[bucket_environment(parts.vmcores), environment.EvidenceBound.of(settings)],
        statements=[
            grants.on_enrolled(cdk.Stack.of(scope), "ec2:GetConsoleScreenshot"),
            objects(parts.vmcores, _BEFORE, "s3:PutObject"),
            write_with_key(parts.vmcores),
        ],
        acknowledged=any_key_acknowledged(parts.vmcores, _BEFORE),
    )
