"""RetireInstance: takes an instance out, and undoes what Hangdump did to it. Safe to run again at any time.

Owns the order of steps. plan_retirement refuses; unconfigure_kdump undoes the host; a volume is deleted only when the
host has just said that it is empty. The owner's tag goes last, because no document runs without it.
"""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation import grants
from infra.foundation.functions import Function, FunctionConfig
from infra.parts import Parts
from infra.provision.lease import TakeLease, release_lease
from infra.retire.remove_volume import DETACH_SECONDS, RemoveDumpVolume
from infra.settings import Settings
from infra.states import state_machine as workflow
from infra.states.explain_failure import ExplainFailure
from infra.states.run_document import DELIVERY_SECONDS, Command, Paths, RunDocument
from infra.states.state_machine import Workflow, connect
from infra.states.tasks import ApiCall, FunctionCall, if_instance_is_named, set_fields, task
from lambdas.runtime import environment
from lambdas.runtime.tags import ENROLLED_TAG

NAME = "RetireInstance"
_DOCUMENT = "unconfigure_kdump"


class RetireInstance(Construct):
    """The state machine and its function plan_retirement."""

    def __init__(
        self,
        scope: Construct,
        *,
        parts: Parts,
        retire_instance: Function,
        collect_vmcore: sfn.StateMachine,
        rescue_vmcore: sfn.StateMachine,
        settings: Settings,
    ) -> None:
        super().__init__(scope, NAME)
        self._parts = parts
        self._settings = settings
        self._retire_instance = retire_instance
        self._plan_retirement = Function(
            self, "plan_retirement", shared=parts.shared, config=self._plan_needs(collect_vmcore, rescue_vmcore)
        )
        self.state_machine = workflow.state_machine(
            self,
            NAME,
            workflow=Workflow(
                first=self._states(),
                statements=self._statements(),
                timeout_seconds=settings.document_timeout_seconds + 2 * (DELIVERY_SECONDS + DETACH_SECONDS) + 1800,
                comment="Take one instance out and undo what Hangdump did to it",
                acknowledged={
                    **grants.any_instance_acknowledged(),
                    **grants.lease_acknowledged(),
                    grants.wildcard("ec2:volume/*"): grants.ANY_INSTANCE,
                },
            ),
            settings=settings,
        )

    def _plan_needs(self, *machines: sfn.StateMachine) -> FunctionConfig:
        collect_vmcore, rescue_vmcore = machines
        table, stack = self._parts.incidents.table, cdk.Stack.of(self)
        names = ("CollectVmcore", "RescueVmcore")
        return FunctionConfig(
            environment=[
                self._parts.incidents.records,
                environment.Collection(collect_vmcore_arn=collect_vmcore.state_machine_arn),
                environment.Rescue(rescue_vmcore_arn=rescue_vmcore.state_machine_arn),
                environment.Retirement(mount_point=self._settings.mount_point),
            ],
            statements=[
                grants.read_dump_volume_records(table),
                grants.read("ec2:DescribeInstances", "ec2:DescribeVolumes", "ssm:DescribeInstanceInformation"),
                iam.PolicyStatement(actions=["dynamodb:Scan"], resources=[table.table_arn]),
                iam.PolicyStatement(
                    actions=["states:ListExecutions"], resources=[each.state_machine_arn for each in machines]
                ),
                iam.PolicyStatement(
                    actions=["states:DescribeExecution"], resources=[grants.executions(stack, each) for each in names]
                ),
            ],
            acknowledged={
                grants.wildcard(f"states:execution:{each}:*"): "Reads for which instance a running execution works."
                for each in names
            },
        )

    def _states(self) -> sfn.State:
        table = self._parts.incidents.table
        failed = sfn.Fail(
            self, "Fail with the original error", error_path="$.failure.Error", cause_path="$.failure.Cause"
        )
        give_back = release_lease(self, "Release lease after failure", table=table)
        give_back.next(failed)
        # Report the first error; the next run takes the lease over.
        give_back.add_catch(failed, errors=["States.ALL"], result_path="$.unreleased")
        on_failure = ExplainFailure(self, "Explain the failure", then=give_back).start_state

        note_input = set_fields(
            self,
            "Note the request",
            {
                "instanceId.$": "$.instanceId",
                "host": {"status": "gone"},
                "volume": {"volumeId": "", "action": "none", "reason": ""},
            },
            result_path="$",
        )
        lease = TakeLease(self, "Take provisioning lease", table=table, on_failure=on_failure)
        # First: from now on nothing interrupts the instance, whatever follows.
        disarm = task(
            self,
            "Disarm instance",
            FunctionCall(self._retire_instance, {"instanceId.$": "$.instanceId"}),
            result_path="$.disarmed",
        )
        plan = task(
            self,
            "Plan retirement",
            FunctionCall(self._plan_retirement, {"input": {"instanceId.$": "$.instanceId"}}),
            result_path="$.plan",
        )
        unconfigure = RunDocument(
            self,
            "Unconfigure kdump",
            runner=self._parts.runner,
            command=Command(_DOCUMENT, "$.plan.parameters", self._settings.document_timeout_seconds),
            paths=Paths(instance_id="$.instanceId", result="$.host", failure="$.failure"),
        ).on_failure(on_failure)
        volume = RemoveDumpVolume(self, "Remove dump volume", settings=self._settings, on_failure=on_failure)
        # Not before the host has been told to wait for no volume any more.
        forget = task(
            self,
            "Forget parked volume",
            FunctionCall(self._retire_instance, {"instanceId.$": "$.instanceId", "isUnconfigured": True}),
        )
        # EC2's own tags of a terminated instance go with it.
        opt_out = task(
            self,
            "Remove opt-in",
            ApiCall(
                "ec2",
                "deleteTags",
                {"Resources.$": "States.Array($.instanceId)", "Tags": [{"Key": ENROLLED_TAG}]},
            ),
        )
        outcome = set_fields(
            self,
            "Report retirement",
            {
                "status": "retired",
                "instanceId.$": "$.instanceId",
                "alarmDeleted.$": "$.disarmed.alarmDeleted",
                "host.$": "$.host",
                "volume.$": "$.volume",
                "otherVolumes.$": "$.plan.kept",
            },
            result_path="$.outcome",
        )
        release = release_lease(self, "Release lease", table=table)
        for each in (disarm, plan, forget, opt_out, release):
            each.add_catch(on_failure, errors=["States.ALL"], result_path="$.failure")
        is_gone = sfn.Choice(self, "Is the instance gone?")
        is_gone.when(sfn.Condition.boolean_equals("$.plan.isGone", True), outcome).otherwise(unconfigure.start_state)

        connect(note_input, lease, disarm, plan, is_gone)
        connect(unconfigure, volume, forget, opt_out, outcome, release)
        release.next(sfn.Succeed(self, "Retired", output_path="$.outcome"))
        return if_instance_is_named(self, note_input)

    def _statements(self) -> list[iam.PolicyStatement]:
        stack = cdk.Stack.of(self)
        return [
            *grants.hold_lease(stack, self._parts.incidents.table),
            *grants.remove_volumes(stack),
            grants.withdraw_opt_in(stack),
            *self._parts.runner.statements(self, [_DOCUMENT]),
            grants.invoke(self._retire_instance, self._plan_retirement),
        ]
