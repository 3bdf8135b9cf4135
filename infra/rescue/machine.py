"""RescueVmcore: reads the vmcore of an instance that does not come back from a copy of its dump volume.

Every path leads through "Remove what was made" to "Conclude incident". The dump volume is only copied, never changed.
That of a terminated member of an Auto Scaling group is deleted, when nothing of value is on it.
"""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.analyze.machine import started_automatically
from infra.conclude.states import ConcludeIncident, Endings, start_analysis_statements
from infra.conclude.without_function import conclude_statements
from infra.foundation import grants
from infra.foundation.functions import Function
from infra.parts import Parts
from infra.rescue import grants as rescue_grants
from infra.rescue.functions import RescueFunctions
from infra.rescue.read_dump_copy import DEVICE, ReadDumpCopy
from infra.settings import Settings
from infra.short_lived import grants as short_lived_grants
from infra.short_lived.instance import InstanceProfile, ShortLivedInstance, Wanted, Words
from infra.short_lived.removal import REMOVE_SECONDS, RemoveMade, ShortLived
from infra.states import state_machine as workflow
from infra.states.run_document import DELIVERY_SECONDS
from infra.states.state_machine import Workflow, connect
from infra.states.take_snapshot import Snapshot, TakeSnapshot
from infra.states.tasks import FunctionCall, set_fields, task
from infra.upload.functions import UploadFunctions
from infra.upload.states import UPLOAD_ROUNDS
from lambdas.incident.record import Verdict
from lambdas.runtime.errors import CollectorDied, CollectorLate, CollectorSilent

NAME = "RescueVmcore"
_DOCUMENTS = ["mount_dump_copy", "upload_vmcore"]
_FAILURE = "$.facts.error"
_COPY = Snapshot(
    called="the copy",
    of_volume="$.plan.volumeId",
    told={"Description.$": "$.plan.description", "TagSpecifications.$": "$.plan.copyTags"},
    result="$.copy",
    failure=_FAILURE,
    # The first snapshot of a volume copies every block that was ever written: an hour or more for 1 TiB (inferred, not
    # measured).
    seconds=4 * 3600,
)
_WORDS = Words(
    title="collector",
    called="rescue instance",
    died=CollectorDied,
    why_died="Most often this state machine may not use the key of the dump volume: allow its role in the key policy.",
    late=CollectorLate,
    silent=CollectorSilent,
    why_silent="Its subnet must reach the endpoints ssm, ssmmessages and S3: see rescueInstanceSubnetId.",
)


def machine_arn(stack: cdk.Stack) -> str:
    """The ARN by name: CollectVmcore starts RescueVmcore, which uses functions of CollectVmcore."""
    return stack.format_arn(
        service="states", resource="stateMachine", resource_name=NAME, arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
    )


def longest_seconds(settings: Settings) -> int:
    """The sum of all waits."""
    documents = 3 * (settings.document_timeout_seconds + DELIVERY_SECONDS)
    uploads = UPLOAD_ROUNDS * (settings.upload_timeout_seconds + DELIVERY_SECONDS)
    return _COPY.seconds + 2 * settings.rescue_instance_timeout_seconds + documents + uploads + REMOVE_SECONDS


@dataclass(frozen=True)
class SharedFunctions:
    """Functions of CollectVmcore that a rescue also calls."""

    upload: UploadFunctions
    conclude_incident: Function


class RescueVmcore(Construct):
    """The state machine, its own functions, and the rescue instances' profile."""

    def __init__(self, scope: Construct, *, parts: Parts, functions: SharedFunctions, settings: Settings) -> None:
        super().__init__(scope, NAME)
        self._parts = parts
        self._settings = settings
        self._shared = functions
        self._functions = RescueFunctions(self, parts=parts, settings=settings)
        # Of analyses, too. It and the function are made here because running rescues of an older version use them, by
        # these logical ids.
        self._profile = InstanceProfile(self, "Collector")
        self.short_lived = ShortLived(self._profile, self._functions.remove_rescue)
        self.state_machine = workflow.state_machine(
            self,
            NAME,
            workflow=Workflow(
                first=self._states(),
                statements=self._statements(),
                # The loops' limits end every wait first: doubled for the polls, the rest for the calls in between.
                timeout_seconds=2 * longest_seconds(settings) + 3600,
                comment="Rescue the vmcore of an instance that does not come back",
                acknowledged={
                    **short_lived_grants.acknowledged(
                        image="The image is named by a public parameter of AWS or by a setting; which one that is "
                        "changes with each release."
                    ),
                    grants.ANY_SNAPSHOT: short_lived_grants.MADE_BY_US,
                },
            ),
            settings=settings,
        )

    def _states(self) -> sfn.State:
        remove = RemoveMade(
            self,
            "Remove what was made",
            function=self._functions.remove_rescue,
            result_path="$.facts.removed",
            settings=self._settings,
            then=self._remove_orphan(then=self._conclude()),
        ).start_state
        note_request = set_fields(
            self,
            "Note the request",
            {"facts": {"executionName.$": "$$.Execution.Name", "input.$": "$", "rescue": {}}},
            result_path="$",
        )
        execution = {"executionId.$": "$$.Execution.Id", "executionName.$": "$$.Execution.Name"}
        start = {"input.$": "$.facts.input", "startTime.$": "$$.Execution.StartTime", **execution}
        open_rescue = task(
            self, "Open rescue", FunctionCall(self._functions.open_rescue, start), result_path="$.facts.incident"
        )
        payload = {"incident.$": "$.facts.incident", **execution}
        plan = task(self, "Plan rescue", FunctionCall(self._functions.plan_rescue, payload), result_path="$.plan")
        for each in (open_rescue, plan):
            each.add_catch(remove, errors=["States.ALL"], result_path=_FAILURE)
        remember = sfn.Pass(
            self, "Remember the volume", input_path="$.plan.volumeId", result_path="$.facts.rescue.volumeId"
        )
        read = ReadDumpCopy(
            self,
            "Read the copy",
            runner=self._parts.runner,
            uploads=self._shared.upload,
            settings=self._settings,
            then=remove,
        )
        collector = ShortLivedInstance(
            self,
            "Launch collector",
            wanted=self._wanted(),
            settings=self._settings,
            then=read.start_state,
            on_failure=remove,
        )
        copy = TakeSnapshot(
            self,
            "Copy dump volume",
            wanted=_COPY,
            settings=self._settings,
            then=collector.start_state,
            on_failure=remove,
        )
        connect(note_request, open_rescue, plan, remember, copy.start_state)
        return note_request

    def _wanted(self) -> Wanted:
        disk = {
            "SnapshotId.$": "$.copy.snapshotId",
            # The copy is deleted with the rescue instance.
            "DeleteOnTermination": True,
            "VolumeType": "gp3",
        }
        return Wanted(
            words=_WORDS,
            profile=self._profile,
            image=self._settings.rescue_instance_image,
            instance_type=self._settings.rescue_instance_type,
            result_path="$.collector",
            failure_path=_FAILURE,
            client_token_path="$.plan.clientToken",  # noqa: S106 - a path, not a secret
            network_interface="$.plan.networkInterface",
            tags="$.plan.collectorTags",
            block_devices=[{"DeviceName": DEVICE, "Ebs": disk}],
            ends_itself_after_seconds=longest_seconds(self._settings),
        )

    def _remove_orphan(self, *, then: sfn.State) -> sfn.State:
        """Only what a terminated instance has left: its volume may go when nothing of value is on it."""
        call = FunctionCall(self._functions.remove_orphan, input_path="$.facts")
        remove = task(self, "Remove orphaned volume", call, result_path="$.facts.orphan")
        # The volume stays then, and the next sweep finds it again.
        remove.add_catch(then, errors=["States.ALL"], result_path="$.unremoved")
        remove.next(then)
        is_orphan = sfn.Choice(self, "Is the volume of a gone instance read?")
        is_read = sfn.Condition.and_(
            sfn.Condition.is_present("$.facts.copy"), sfn.Condition.boolean_equals("$.plan.isInstanceGone", True)
        )
        return is_orphan.when(is_read, remove).otherwise(then)

    def _conclude(self) -> sfn.State:
        return ConcludeIncident(
            self,
            "Conclude incident",
            function=self._shared.conclude_incident,
            incidents=self._parts.incidents,
            endings=Endings(
                Verdict.RESCUED,
                {Verdict.RESCUED: "Rescued", Verdict.NO_PANIC: "Nothing to rescue"},
                analyze=started_automatically(cdk.Stack.of(self), self._settings),
            ),
        ).start_state

    def _statements(self) -> list[iam.PolicyStatement]:
        stack, runner = cdk.Stack.of(self), self._parts.runner
        shared = [*self._shared.upload.all(), self._shared.conclude_incident, runner.read_document_result]
        return [
            grants.invoke(*self._functions.all(), *shared),
            *conclude_statements(self._parts.incidents),
            *start_analysis_statements(started_automatically(cdk.Stack.of(self), self._settings)),
            *rescue_grants.copy_volumes(stack),
            *short_lived_grants.launch(
                stack,
                self._profile,
                [self._settings.rescue_instance_type],
                is_image_public=rescue_grants.is_public(self._settings.rescue_instance_image),
            ),
            *rescue_grants.launch_from_copies(stack, self._settings.rescue_instance_image),
            *grants.run_documents(stack, [runner.documents.name(each) for each in _DOCUMENTS]),
            short_lived_grants.command(stack),
        ]
