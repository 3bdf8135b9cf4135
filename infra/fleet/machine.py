"""EnrolFleet: brings every instance with the owner's tag to where it should be, and retires whoever lost the tag.

Level-triggered: tag events, starts and an hourly schedule ring one bell, and a plan looks at what is. plan_fleet
decides; ProvisionDumpVolume and retire_instance act, once for each item of a work list in the bucket. Owns the order
of rounds.
"""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.fleet import bell
from infra.fleet.association import check_association
from infra.fleet.enrol_instance import EnrolInstance
from infra.foundation import grants
from infra.foundation.acknowledgements import acknowledge
from infra.foundation.fleet import Fleet
from infra.foundation.functions import Function, FunctionConfig
from infra.foundation.vmcore_bucket import (
    any_key_acknowledged,
    bucket_environment,
    named_objects,
    objects,
    write_with_key,
)
from infra.parts import Parts
from infra.provision.machine import ProvisionDumpVolume
from infra.settings import Settings
from infra.states import state_machine as workflow
from infra.states.explain_failure import ExplainFailure
from infra.states.state_machine import Workflow, connect
from infra.states.tasks import DISCARD, ApiCall, FunctionCall, name_error, retry_on, set_fields, task
from lambdas.fleet.rounds import MOST_ITEMS, most_at_once
from lambdas.fleet.table import BELL
from lambdas.incident.object_keys import FLEET, FLEET_JSON_KEY, FLEET_PAGE_KEY
from lambdas.runtime import environment
from lambdas.runtime.errors import EnrolmentHalted
from lambdas.runtime.tags import ENROLLED_TAG, PROFILE_TAG

NAME = "EnrolFleet"
# Of the map's children: execution:EnrolFleet/Enrol:…
_LABEL = "Enrol"
# Events come in bunches, agents need a minute, and EC2 may show a tag late.
_SETTLE_SECONDS = 60
# More than an agent needs to answer after a start (lambdas/fleet/plan.py), in rounds of a minute.
_MAX_ROUNDS = 30
# 30 rounds of some two hours are 3 days. A holder that is out of time is replaced.
_TIMEOUT_SECONDS = 7 * 86400


class EnrolFleet(Construct):
    """The state machine, its function plan_fleet, and what rings its bell."""

    def __init__(
        self,
        scope: Construct,
        *,
        parts: Parts,
        fleet: Fleet,
        provision: ProvisionDumpVolume,
        retire_instance: Function,
        settings: Settings,
    ) -> None:
        super().__init__(scope, NAME)
        self._parts = parts
        self._fleet = fleet
        self._provision = provision
        self._retire_instance = retire_instance
        self._settings = settings
        self._association = check_association(self, documents=parts.runner.documents, settings=settings)
        self._plan_fleet = Function(self, "plan_fleet", shared=parts.shared, config=self._plan_needs())
        children = "Step Functions names the executions of a map, and those of this machine, when it starts them."
        self.state_machine = workflow.state_machine(
            self,
            NAME,
            workflow=Workflow(
                first=self._states(),
                statements=self._statements(),
                timeout_seconds=_TIMEOUT_SECONDS,
                comment="Provision the instances that their owners have enrolled, and retire those that left",
                acknowledged={
                    grants.wildcard(f"states:execution:{NAME}:*"): children,
                    grants.wildcard(f"states:execution:{NAME}/{_LABEL}:*"): children,
                    grants.wildcard("states:execution:ProvisionDumpVolume:*"): children,
                    **any_key_acknowledged(parts.vmcores, FLEET),
                },
            ),
            settings=settings,
        )
        self._ring(settings)

    def _plan_needs(self) -> FunctionConfig:
        parts, fleet = self._parts, self._fleet
        return FunctionConfig(
            environment=[
                fleet.environment,
                fleet.configuration,
                parts.incidents.records,
                environment.CheckAssociation(check_association_id=self._association.attr_association_id),
                environment.Enrolment(
                    fleet_limit=self._settings.fleet_limit,
                    enrolments_per_minute=self._settings.enrolments_per_minute,
                    reboot_windows=self._settings.reboot_windows,
                    reboots_per_group=self._settings.reboots_per_group,
                    reboots_per_zone=self._settings.reboots_per_zone,
                    provision_dump_volume_arn=self._provision.state_machine.state_machine_arn,
                ),
                bucket_environment(parts.vmcores),
            ],
            statements=[
                fleet.grant("GetItem", "PutItem", "Scan"),
                grants.keep_drills(parts.incidents.table, "BatchGetItem"),
                grants.read("cloudwatch:DescribeAlarms", "ec2:DescribeInstances", "ssm:DescribeInstanceInformation"),
                iam.PolicyStatement(
                    actions=["ssm:DescribeInstanceAssociationsStatus"],
                    resources=[grants.instances(cdk.Stack.of(self))],
                ),
                objects(parts.vmcores, FLEET, "s3:PutObject"),
                named_objects(parts.vmcores, [FLEET_JSON_KEY, FLEET_PAGE_KEY], "s3:PutObject"),
                write_with_key(parts.vmcores),
            ],
            # 100,000 instances and their rows, in pages of a thousand.
            timeout_seconds=900,
            memory_mib=1024,
            acknowledged={**any_key_acknowledged(parts.vmcores, FLEET), **grants.any_instance_acknowledged()},
        )

    def _states(self) -> sfn.State:
        table = self._fleet.table
        failed = sfn.Fail(self, "Fail with its error", error_path="$.failure.Error", cause_path="$.failure.Cause")
        give_up = bell.give_up(self, "Release the bell after failure", table=table)
        give_up.next(failed)
        # Report the first error. The next ring takes the bell over.
        give_up.add_catch(failed, errors=["States.ALL"], result_path="$.unreleased")
        on_failure = ExplainFailure(self, "Explain the failure", then=give_up).start_state

        ring = bell.ring(self, "Ring the bell", table=table)
        first = set_fields(self, "Begin with the first round", {"number": 1}, result_path="$.round")
        leave = sfn.Pass(self, "Leave it to the holder", parameters={"status": "rung"})
        take = bell.TakeBell(self, "Take the bell", table=table, on_held=leave, on_failure=on_failure)
        settle = sfn.Wait(
            self, "Wait for more rings", time=sfn.WaitTime.duration(cdk.Duration.seconds(_SETTLE_SECONDS))
        )
        payload = {"executionName.$": "$$.Execution.Name", "round.$": "$.round.number"}
        plan = task(self, "Plan fleet", FunctionCall(self._plan_fleet, payload), result_path="$.plan")
        enrol = self._enrol()
        count = set_fields(
            self, "Count the round", {"number.$": "States.MathAdd($.round.number, 1)"}, result_path="$.round"
        )
        is_last = sfn.Choice(self, "Was it the last round?")
        release = bell.release(self, "Release the bell", table=table, on_rung=is_last)
        done = sfn.Pass(self, "Say that all is done", parameters={"status": "done"})
        hand_over = bell.give_up(self, "Hand the bell over", table=table)
        start_next = self._start_next()
        halted = name_error(
            self,
            "Say that the enrolment is halted",
            EnrolmentHalted,
            f"'{{}} {EnrolmentHalted.next_step}', $.plan.halt",
            result_path="$.failure",
        )

        choose = sfn.Choice(self, "What is there to do?")
        choose.when(sfn.Condition.not_(sfn.Condition.string_equals("$.plan.halt", "")), halted)
        choose.when(sfn.Condition.number_greater_than("$.plan.items", 0), enrol)
        choose.when(sfn.Condition.boolean_equals("$.plan.isWaiting", True), is_last)
        choose.otherwise(release)
        is_last.when(sfn.Condition.number_greater_than_equals("$.round.number", _MAX_ROUNDS), hand_over)
        is_last.otherwise(count)

        connect(ring, first, take, settle, plan, choose)
        count.next(take.start_state)
        enrol.next(is_last)
        halted.next(on_failure)
        end = sfn.Succeed(self, "Enrolled")
        release.next(done)
        connect(hand_over, start_next, done)
        for state in (done, leave):
            state.next(end)
        for each in (ring, plan, enrol, release, hand_over, start_next):
            each.add_catch(on_failure, errors=["States.ALL"], result_path="$.failure")
        return ring

    def _enrol(self) -> sfn.CustomState:
        """The map. CustomState, because DistributedMap grants its machine more than it needs."""
        children = EnrolInstance(
            self,
            "Instance",
            provision_arn=self._provision.state_machine.state_machine_arn,
            longest_seconds=self._provision.longest_seconds,
            retire_instance=self._retire_instance,
            note_provisioning=self._provision.note_provisioning,
            poll_seconds=self._settings.poll_seconds,
        )
        map_state: dict[str, Any] = {
            "Type": "Map",
            "Label": _LABEL,
            "ItemReader": {
                "Resource": f"arn:{cdk.Aws.PARTITION}:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSON"},
                "Parameters": {"Bucket": self._parts.vmcores.bucket.bucket_name, "Key.$": "$.plan.key"},
            },
            # The pace is in the list: each item says when it starts.
            "MaxConcurrency": most_at_once(self._settings.enrolments_per_minute),
            # All of them: an outcome is in the row of its instance, and a child without one is seen by the next plan.
            "ToleratedFailureCount": MOST_ITEMS,
            "ItemProcessor": dict(children.definition),
            "ResultPath": DISCARD,
            # The list could not be read: no child has begun.
            "Retry": retry_on("States.ItemReaderFailed"),
        }
        return sfn.CustomState(self, "Enrol the instances", state_json=map_state)

    def _start_next(self) -> sfn.CustomState:
        """Whoever rang meanwhile left it to this execution, which has had all its rounds."""
        call = ApiCall("sfn", "startExecution", {"StateMachineArn": self._arn, "Input": '{"bell": "handed over"}'})
        return task(
            self,
            "Start the next enrolment",
            call,
            comment="Twice after a lost answer: the second leaves it to the first",
        )

    @property
    def _arn(self) -> str:
        """By name: a machine's definition and role cannot refer to the machine."""
        return cdk.Stack.of(self).format_arn(
            service="states",
            resource="stateMachine",
            resource_name=NAME,
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )

    def _executions(self, of: str) -> str:
        return cdk.Stack.of(self).format_arn(
            service="states",
            resource="execution",
            resource_name=f"{of}:*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )

    def _statements(self) -> list[iam.PolicyStatement]:
        parts, provision = self._parts, self._provision
        return [
            self._fleet.grant("GetItem", "UpdateItem", keys=BELL),
            objects(parts.vmcores, FLEET, "s3:GetObject"),
            grants.read_with_key(parts.vmcores.key),
            # A map starts its children in the name of its machine, and looks after them.
            iam.PolicyStatement(
                actions=["states:StartExecution"], resources=[self._arn, provision.state_machine.state_machine_arn]
            ),
            iam.PolicyStatement(
                actions=["states:DescribeExecution", "states:StopExecution"],
                resources=[self._executions(f"{NAME}/{_LABEL}")],
            ),
            iam.PolicyStatement(
                actions=["states:DescribeExecution"],
                resources=[self._executions(NAME), self._executions("ProvisionDumpVolume")],
            ),
            grants.invoke(self._plan_fleet, provision.note_provisioning, self._retire_instance),
        ]

    def _ring(self, settings: Settings) -> None:
        """Events are best effort and only shorten the wait for the hour."""
        role = iam.Role(self, "BellRole", assumed_by=iam.ServicePrincipal("events.amazonaws.com"))
        acknowledge(role, {})
        patterns = {
            "CheckFailed": events.EventPattern(
                source=["aws.ssm"],
                detail_type=["EC2 State Manager Instance Association State Change"],
                detail={"association-id": [self._association.attr_association_id], "status": ["Failed"]},
            ),
            "TagChanged": events.EventPattern(
                source=["aws.tag"],
                detail_type=["Tag Change on Resource"],
                detail={
                    "service": ["ec2"],
                    "resource-type": ["instance"],
                    "changed-tag-keys": [ENROLLED_TAG, PROFILE_TAG],
                },
            ),
            "InstanceStarted": events.EventPattern(
                source=["aws.ec2"],
                detail_type=["EC2 Instance State-change Notification"],
                detail={"state": ["running"]},
            ),
        }
        descriptions = {
            "CheckFailed": "Repairs an instance that is no longer ready, and enrols one whose agent answers at last",
            "TagChanged": "Enrols an instance when its owner tags it or picks a profile, retires it when the tag goes",
            "InstanceStarted": "Enrols the members that a group launches with the owner's tag",
            "Hourly": "Enrols whoever the events missed, and tries again where it is due",
        }
        for name, description in descriptions.items():
            is_hourly = name not in patterns
            events.Rule(
                self,
                name,
                description=description,
                enabled=settings.fleet_limit > 0,
                event_pattern=patterns.get(name),
                schedule=events.Schedule.rate(cdk.Duration.hours(1)) if is_hourly else None,
                targets=[
                    targets.SfnStateMachine(
                        self.state_machine, role=role, input=events.RuleTargetInput.from_object({"bell": name})
                    )
                ],
            )
