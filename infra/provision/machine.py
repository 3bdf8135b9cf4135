"""ProvisionDumpVolume: makes an enrolled instance ready for a crash dump. Safe to run again at any time.

Owns the order of steps and the clean-up after a failure. plan_dump_volume decides; the documents change the guest.
"""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation import grants
from infra.foundation.fleet import Fleet
from infra.foundation.functions import Function, FunctionConfig
from infra.parts import Parts
from infra.provision import park_dump_volume
from infra.provision.dump_volume import (
    CREATE_SECONDS,
    DETACH_SECONDS,
    AttachDumpVolume,
    CreateDumpVolume,
    RemoveUnusedVolume,
    empty_volume,
)
from infra.provision.lease import TakeLease, release_lease
from infra.provision.mark_ready import mark_instance_ready, put_hang_alarm, unmark_instance
from infra.provision.park_dump_volume import NO_VOLUME, SNAPSHOT_SECONDS, Exits, ParkDumpVolume
from infra.settings import Settings
from infra.states import state_machine as workflow
from infra.states.explain_failure import ExplainFailure
from infra.states.run_document import DELIVERY_SECONDS, Command, Paths, RunDocument
from infra.states.state_machine import Workflow, connect
from infra.states.tasks import FunctionCall, if_instance_is_named, name_error, set_fields, task
from lambdas.fleet.row import ROW_PREFIX
from lambdas.runtime import environment
from lambdas.runtime.errors import KdumpNotReady
from lambdas.runtime.tags import HANG_ALARM_PREFIX

NAME = "ProvisionDumpVolume"
DOCUMENTS = [
    *("measure_dump", "prepare_dump_volume", "configure_kdump", "check_kdump", "park_dump_volume", "probe_instance"),
]


class ProvisionDumpVolume(Construct):
    """The state machine, and its functions plan_dump_volume and note_provisioning."""

    def __init__(
        self, scope: Construct, *, parts: Parts, fleet: Fleet, respond_to_hang: Function, settings: Settings
    ) -> None:
        super().__init__(scope, NAME)
        self._fleet = fleet
        self._respond_to_hang = respond_to_hang
        self._parts = parts
        self._settings = settings
        self._plan_dump_volume = Function(self, "plan_dump_volume", shared=parts.shared, config=self._plan_needs())
        self.note_provisioning = Function(self, "note_provisioning", shared=parts.shared, config=self._note_needs())
        self.state_machine = workflow.state_machine(
            self,
            NAME,
            workflow=Workflow(
                first=self._states(),
                statements=self._statements(),
                timeout_seconds=self.longest_seconds,
                comment="Make one instance ready for a crash dump",
                acknowledged={
                    grants.wildcard("ec2:instance/*"): grants.ANY_INSTANCE,
                    **grants.any_key_acknowledged(),
                    grants.wildcard("ec2:volume/*"): grants.ANY_INSTANCE,
                    grants.ANY_SNAPSHOT: grants.ANY_INSTANCE,
                    grants.wildcard(f"cloudwatch:alarm:{HANG_ALARM_PREFIX}*"): grants.ALARM_PER_INSTANCE,
                    **grants.lease_acknowledged(),
                },
            ),
            settings=settings,
        )

    def _plan_needs(self) -> FunctionConfig:
        settings = self._settings
        return FunctionConfig(
            environment=[
                self._parts.incidents.records,
                self._fleet.environment,
                self._fleet.configuration,
                environment.Provisioning(
                    dump_volume=settings.dump_volume,
                    dump_volume_sizing=settings.dump_volume_sizing,
                    dump_size_factor=settings.dump_size_factor,
                    minimum_dump_volume_gib=settings.minimum_dump_volume_gib,
                    allow_reboot=settings.allow_reboot,
                    document_settings=settings.document_settings(),
                    profiles=settings.profiles,
                ),
            ],
            statements=[
                grants.read_dump_volume_records(self._parts.incidents.table),
                grants.keep_parked(self._parts.incidents.table, "GetItem"),
                # What the owner gave is remembered there.
                self._fleet.grant("GetItem", "UpdateItem", keys=f"{ROW_PREFIX}*"),
                grants.read(
                    "autoscaling:DescribeAutoScalingGroups",
                    "autoscaling:DescribeAutoScalingInstances",
                    "cloudwatch:DescribeAlarmsForMetric",
                    "ec2:DescribeInstances",
                    "ec2:DescribeInstanceTypes",
                    "ec2:DescribeSnapshots",
                    "ec2:DescribeVolumes",
                    "ssm:DescribeInstanceInformation",
                ),
                # Not of others: the attributes of an instance include its user data.
                grants.on_enrolled(cdk.Stack.of(self), "ec2:DescribeInstanceAttribute"),
            ],
            acknowledged=grants.any_instance_acknowledged(),
        )

    def _note_needs(self) -> FunctionConfig:
        return FunctionConfig(
            environment=[self._fleet.environment, self._fleet.configuration],
            statements=[self._fleet.grant("GetItem", "PutItem", keys=f"{ROW_PREFIX}*")],
        )

    def _states(self) -> sfn.State:
        table = self._parts.incidents.table
        failed = sfn.Fail(
            self, "Fail with the original error", error_path="$.failure.Error", cause_path="$.failure.Cause"
        )
        give_back = release_lease(self, "Release provisioning lease after failure", table=table)
        give_back.next(failed)
        # Report the first error; the next run takes the lease over.
        give_back.add_catch(failed, errors=["States.ALL"], result_path="$.unreleased")
        note = self._note("Note the failure", {"failure.$": "$.failure"}, then=give_back)
        clean_up = RemoveUnusedVolume(self, "Remove unused dump volume", settings=self._settings, then=note)
        on_failure = ExplainFailure(self, "Explain the failure", then=clean_up.start_state).start_state

        note_input = set_fields(
            self,
            "Note the request",
            {
                "input.$": "$",
                "instanceId.$": "$.instanceId",
                "volume": {},
                "prepared": {},
                "place": {"status": "attached"},
            },
            result_path="$",
        )
        lease = TakeLease(self, "Take provisioning lease", table=table, on_failure=on_failure)
        plan = self._plan("Plan dump volume", {}, on_failure)
        create = CreateDumpVolume(
            self,
            "Create dump volume",
            volume=empty_volume(self._settings),
            table=table,
            settings=self._settings,
            on_failure=on_failure,
        )
        attach = AttachDumpVolume(self, "Attach dump volume", settings=self._settings, on_failure=on_failure)
        prepare = self._run("Prepare dump volume", "prepare_dump_volume", on_failure)
        keep = set_fields(
            self,
            "Keep the dump volume from now on",
            {"volumeId.$": "$.volume.volumeId", "parameter.$": "$.volume.parameter", "removeOnFailure": False},
            result_path="$.volume",
        )
        use_found = set_fields(
            self,
            "Use the volume found",
            {
                "volumeId.$": "$.plan.volume.volumeId",
                "parameter": {"volumeId.$": "States.Array($.plan.volume.volumeId)"},
                "removeOnFailure": False,
            },
            result_path="$.volume",
        )
        action = "$.plan.volume.action"
        is_attached = sfn.Choice(self, "Is the volume attached already?")
        is_attached.when(sfn.Condition.string_equals(action, "reuse"), prepare.start_state)
        is_attached.otherwise(create.wait_state)
        measure = self._run("Measure dump", "measure_dump", on_failure)
        measured = {"expectedDumpBytes.$": "$.measured.expectedDumpBytes"}
        plan_measured = self._plan("Plan measured dump volume", measured, on_failure)
        is_new = sfn.Condition.string_equals(action, "create")
        use_none = set_fields(self, "Leave the volume parked", NO_VOLUME, result_path="$.volume")
        choose = sfn.Choice(self, "Choose volume action").when(is_new, create.start_state)
        choose.when(sfn.Condition.string_equals(action, "measure"), measure.start_state)
        choose.when(self._is_parked, use_none).otherwise(use_found)
        # The host has lost what it needs for that: it is made ready with another volume, which is parked in the end.
        again = self._plan("Plan a volume in place of the parked one", {"isParkedLost": True}, on_failure)
        again.next(choose)
        # Another execution cannot come between: this one holds the lease.
        is_still_new = sfn.Choice(self, "Is a new volume still planned?")
        is_still_new.when(is_new, create.start_state).otherwise(use_found)

        connect(note_input, lease, plan, choose)
        connect(measure, plan_measured, is_still_new)
        arm = self._arm(on_failure, lost=again)
        connect(create, attach, prepare, keep, arm)
        use_none.next(arm)
        use_found.next(is_attached)

        return if_instance_is_named(self, note_input)

    @property
    def _is_parked(self) -> sfn.Condition:
        return sfn.Condition.string_equals("$.plan.volume.action", "parked")

    def _arm(self, on_failure: sfn.State, *, lost: sfn.State) -> sfn.State:
        """The states from configure_kdump to the end; returns the first one.

        `lost`: where to go if an instance is not ready whose volume is parked.
        """
        release = release_lease(self, "Release provisioning lease", table=self._parts.incidents.table)
        release.add_catch(on_failure, errors=["States.ALL"], result_path="$.failure")
        release.next(sfn.Succeed(self, "Provisioned", output_path="$.outcome"))

        outcome = {"outcome.$": "$.outcome", "configurationId.$": "$.plan.configurationId"}
        note = self._note("Note the outcome", outcome, then=release)

        configure = self._run("Configure kdump", "configure_kdump", on_failure)
        check = self._run("Check kdump", "check_kdump", on_failure)
        ready = mark_instance_ready(self, "Mark instance ready", instance_id="$.instanceId", kdump="$.kdump")
        alarm = put_hang_alarm(self, "Put hang alarm", settings=self._settings, respond_to_hang=self._respond_to_hang)
        for each in (ready, alarm):
            each.add_catch(on_failure, errors=["States.ALL"], result_path="$.failure")
        not_ready = name_error(
            self,
            "Name what is not ready",
            KdumpNotReady,
            "'{} is not ready for a crash dump: {}. Follow each remedy, then run this again.', "
            "$.instanceId, States.JsonToString($.kdump.findings)",
            result_path="$.failure",
        )
        not_ready.next(on_failure)
        # It was ready once, and a hang would be answered with an interrupt that leaves no dump.
        unmark = unmark_instance(self, "Take the mark from what is not ready", instance_id="$.instanceId")
        is_parked = sfn.Choice(self, "Is its volume parked?").when(self._is_parked, lost).otherwise(not_ready)
        unmark.add_catch(is_parked, errors=["States.ALL"], result_path="$.marked")
        unmark.next(is_parked)
        is_ready = sfn.Choice(self, "Is kdump ready?")
        is_ready.when(sfn.Condition.boolean_equals("$.kdump.ready", True), ready).otherwise(unmark)
        reboot_required = self._outcome(
            "Leave the reboot to the owner", "reboot-required", {"whyNotReboot.$": "$.plan.whyNotReboot"}
        )
        must_reboot = sfn.Choice(self, "Is a reboot required?")
        must_reboot.when(
            sfn.Condition.string_equals("$.configuration.status", "reboot-required"), reboot_required
        ).otherwise(check.start_state)

        connect(configure, must_reboot)
        connect(check, is_ready)
        report = self._outcome("Report readiness", "ready", {"kdump.$": "$.kdump", "dumpVolume.$": "$.place"})
        park = ParkDumpVolume(
            self,
            "Park dump volume",
            parts=self._parts,
            settings=self._settings,
            exits=Exits(then=report, lost=lost, on_failure=on_failure),
        )
        connect(ready, alarm, park.start_state)
        report.next(note)
        reboot_required.next(note)
        return configure.start_state

    def _note(self, name: str, what: dict[str, Any], *, then: sfn.State) -> sfn.CustomState:
        """Before the lease is given back: the next execution must find the row as this one left it."""
        payload = {"instanceId.$": "$.instanceId", "executionArn.$": "$$.Execution.Id", **what}
        state = task(self, name, FunctionCall(self.note_provisioning, payload))
        # The instance is as it is, whether the table says so or not.
        state.add_catch(then, errors=["States.ALL"], result_path="$.unnoted")
        state.next(then)
        return state

    def _plan(self, title: str, more: dict[str, Any], on_failure: sfn.State) -> sfn.CustomState:
        payload = {
            "input.$": "$.input",
            "executionId.$": "$$.Execution.Id",
            "startTime.$": "$$.Execution.StartTime",
            **more,
        }
        plan = task(self, title, FunctionCall(self._plan_dump_volume, payload), result_path="$.plan")
        plan.add_catch(on_failure, errors=["States.ALL"], result_path="$.failure")
        return plan

    def _run(self, title: str, verb_phrase: str, on_failure: sfn.State) -> RunDocument:
        parameters, result = {
            "measure_dump": ("$.plan.measureParameters", "$.measured"),
            "prepare_dump_volume": (_with_volume("$.plan.prepareParameters"), "$.prepared"),
            "configure_kdump": ("$.plan.configureParameters", "$.configuration"),
            "check_kdump": (_with_volume("$.plan.checkParameters"), "$.kdump"),
        }[verb_phrase]
        command = Command(verb_phrase, parameters, self._settings.document_timeout_seconds)
        paths = Paths(instance_id="$.instanceId", result=result, failure="$.failure")
        return RunDocument(self, title, runner=self._parts.runner, command=command, paths=paths).on_failure(on_failure)

    def _outcome(self, name: str, status: str, more: dict[str, Any]) -> sfn.Pass:
        values = {
            "status": status,
            "instanceId.$": "$.instanceId",
            "volumeId.$": "$.volume.volumeId",
            "volumeAction.$": "$.plan.volume.action",
            "prepared.$": "$.prepared",
            "configuration.$": "$.configuration",
            "diagnosticInterrupt.$": "$.plan.diagnosticInterrupt",
            "conflictingAlarms.$": "$.plan.conflictingAlarms",
            **more,
        }
        return set_fields(self, name, values, result_path="$.outcome")

    def _statements(self) -> list[iam.PolicyStatement]:
        stack = cdk.Stack.of(self)
        return [
            *grants.provision_volumes(stack),
            *park_dump_volume.statements(stack, self._parts.incidents.table),
            *grants.arm_instances(stack, self._respond_to_hang.function_arn),
            *grants.hold_lease(stack, self._parts.incidents.table),
            grants.record_dump_volumes(self._parts.incidents.table),
            *self._parts.runner.statements(self, DOCUMENTS),
            grants.invoke(self._plan_dump_volume, self.note_provisioning),
        ]

    @property
    def longest_seconds(self) -> int:
        """The execution's timeout."""
        documents = len(DOCUMENTS) * (self._settings.document_timeout_seconds + DELIVERY_SECONDS)
        # The loops' limits end every wait first; the rest is for the calls in between.
        return 2 * (documents + 2 * CREATE_SECONDS + SNAPSHOT_SECONDS + 2 * DETACH_SECONDS) + 900


def _with_volume(parameters: str) -> str:
    return f"States.JsonMerge({parameters}, $.volume.parameter, false)"
