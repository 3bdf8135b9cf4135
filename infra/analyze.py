"""AnalyzeVmcore: reads an incident's vmcore with its kernel's symbols on an analysis host; renders the report again.

The host belongs to the owner: nothing is launched. Only a file can be left behind, and the next run removes it.
"""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation import grants
from infra.foundation.acknowledgements import acknowledge
from infra.foundation.functions import Function, FunctionConfig
from infra.foundation.vmcore_bucket import (
    bucket_and_key,
    bucket_environment,
    named_objects,
    named_objects_acknowledged,
    use_key,
)
from infra.parts import Parts
from infra.settings import Settings
from infra.states import state_machine as workflow
from infra.states.explain_failure import ExplainFailure
from infra.states.run_document import DELIVERY_SECONDS, Command, Paths, RunDocument
from infra.states.state_machine import Workflow, connect
from infra.states.tasks import FunctionCall, set_fields, task
from lambdas.incident.object_keys import ANALYSIS, MANIFESTS, VMCORES, keys
from lambdas.runtime import environment
from lambdas.runtime.tags import ANALYSIS_HOST_TAG

NAME = "AnalyzeVmcore"
_DOCUMENT = "analyze_vmcore"
_VMCORE = keys(f"{VMCORES}*/")["vmcore"]
_RESULT = f"{VMCORES}*/{ANALYSIS}"
_OF_ANALYSES = [f"{MANIFESTS}*/analysis.*"]


class AnalyzeVmcore(Construct):
    """The state machine, its function, and the role whose sessions sign the host's URLs."""

    def __init__(self, scope: Construct, *, parts: Parts, render_report: Function, settings: Settings) -> None:
        super().__init__(scope, NAME)
        self._render_report = render_report
        self._parts = parts
        self._settings = settings
        self._plan_analysis = self._function()
        self._let_it_sign()
        self.state_machine = workflow.state_machine(
            self,
            NAME,
            workflow=Workflow(
                first=self._states(),
                statements=self._statements(),
                timeout_seconds=2 * (settings.analysis_timeout_seconds + DELIVERY_SECONDS) + 900,
                comment="Read a vmcore with the symbols of its kernel",
                acknowledged={grants.wildcard("ec2:instance/*"): grants.ANY_INSTANCE},
            ),
            settings=settings,
        )

    def _states(self) -> sfn.State:
        failed = sfn.Fail(self, "Fail without an analysis", error_path="$.failure.Error", cause_path="$.failure.Cause")
        explain = ExplainFailure(self, "Explain why there is no analysis", then=failed).start_state
        request = set_fields(self, "Note the request", {"input.$": "$"}, result_path="$")
        plan = task(
            self, "Plan analysis", FunctionCall(self._plan_analysis, {"input.$": "$.input"}), result_path="$.analysis"
        )
        command = Command(
            _DOCUMENT,
            {
                "manifestUrl.$": "States.Array($.analysis.manifestUrl)",
                "timeoutSeconds": [str(self._settings.analysis_timeout_seconds)],
            },
            self._settings.analysis_timeout_seconds,
        )
        paths = Paths(instance_id="$.analysis.analysisInstanceId", result="$.analysed", failure="$.failure")
        analyze = RunDocument(self, "Analyze vmcore", runner=self._parts.runner, command=command, paths=paths)
        analyze.on_failure(explain)
        draw = task(
            self,
            "Render report",
            FunctionCall(self._render_report, {"incidentId.$": "$.analysis.incidentId"}),
            result_path="$.analysed.report",
        )
        for each in (plan, draw):
            each.add_catch(explain, errors=["States.ALL"], result_path="$.failure")
        connect(request, plan, analyze, draw, sfn.Succeed(self, "Analysed", output_path="$.analysed"))
        return request

    def _function(self) -> Function:
        vmcores = self._parts.vmcores
        return Function(
            self,
            "plan_analysis",
            shared=self._parts.shared,
            config=FunctionConfig(
                environment=[
                    self._parts.incidents.records,
                    bucket_environment(vmcores, upload_endpoint_url=self._settings.upload_endpoint_url),
                ],
                statements=[
                    grants.read_incidents(self._parts.incidents.table),
                    grants.read("ec2:DescribeInstances", "ssm:DescribeInstanceInformation"),
                    # HeadObject, for the vmcore's size.
                    named_objects(vmcores, [_VMCORE], "s3:GetObject"),
                    named_objects(vmcores, _OF_ANALYSES, "s3:PutObject"),
                    *bucket_and_key(vmcores),
                ],
                acknowledged=named_objects_acknowledged(vmcores, [_VMCORE, *_OF_ANALYSES]),
            ),
        )

    def _let_it_sign(self) -> None:
        """Adds the role that signs. A presigned URL has its signer's rights, so the role has no others."""
        vmcores, planner = self._parts.vmcores, self._plan_analysis.role
        assert planner is not None  # noqa: S101 - Function always has one
        role = iam.Role(
            self,
            "reader_role",
            description="Signs the URLs with which an analysis host reads one vmcore",
            assumed_by=iam.ArnPrincipal(planner.role_arn),
        )
        role.add_to_policy(named_objects(vmcores, [_VMCORE, *_OF_ANALYSES], "s3:GetObject"))
        role.add_to_policy(named_objects(vmcores, [_RESULT], "s3:PutObject"))
        role.add_to_policy(use_key(vmcores))
        acknowledge(role, named_objects_acknowledged(vmcores, [_VMCORE, *_OF_ANALYSES, _RESULT]))
        planner.add_to_principal_policy(iam.PolicyStatement(actions=["sts:AssumeRole"], resources=[role.role_arn]))
        self._plan_analysis.add_variables(environment.ReaderRole(reader_role_arn=role.role_arn))

    def _statements(self) -> list[iam.PolicyStatement]:
        stack, runner = cdk.Stack.of(self), self._parts.runner
        return [
            *grants.send_command(stack, [runner.documents.name(_DOCUMENT)], tag=ANALYSIS_HOST_TAG),
            grants.invoke(runner.read_document_result, self._plan_analysis, self._render_report),
        ]
