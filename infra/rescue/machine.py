"""RescueVmcore: reads the vmcore of an instance that does not come back from a copy of its dump volume.

Every path leads through "Remove what was made" to "Conclude incident". The dump volume is only copied, never changed.
"""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.conclude.states import ConcludeIncident
from infra.conclude.without_function import conclude_statements
from infra.foundation import grants
from infra.foundation.functions import Function
from infra.parts import Parts
from infra.rescue import grants as rescue_grants
from infra.rescue.copy_dump_volume import COPY_SECONDS, CopyDumpVolume
from infra.rescue.functions import RescueFunctions
from infra.rescue.read_dump_copy import DEVICE, ReadDumpCopy
from infra.rescue.short_lived_instance import CollectorProfile, ShortLivedInstance, Wanted
from infra.settings import Settings
from infra.states import state_machine as workflow
from infra.states.poll import Poll, polling
from infra.states.run_document import DELIVERY_SECONDS
from infra.states.state_machine import Workflow, connect
from infra.states.tasks import FunctionCall, set_fields, task
from infra.upload.functions import UploadFunctions
from infra.upload.states import UPLOAD_ROUNDS
from lambdas.incident.record import Verdict

NAME = "RescueVmcore"
# A terminated instance first shuts down, which can take minutes.
REMOVE_SECONDS = 1200
_DOCUMENTS = ["mount_dump_copy", "upload_vmcore"]
_FAILURE = "$.facts.error"


def machine_arn(stack: cdk.Stack) -> str:
    """The ARN by name: CollectVmcore starts RescueVmcore, which uses functions of CollectVmcore."""
    return stack.format_arn(
        service="states", resource="stateMachine", resource_name=NAME, arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
    )


def longest_seconds(settings: Settings) -> int:
    """The sum of all waits."""
    documents = 3 * (settings.document_timeout_seconds + DELIVERY_SECONDS)
    uploads = UPLOAD_ROUNDS * (settings.upload_timeout_seconds + DELIVERY_SECONDS)
    return COPY_SECONDS + 2 * settings.rescue_instance_timeout_seconds + documents + uploads + REMOVE_SECONDS


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
        self._profile = CollectorProfile(self, "Collector")
        self.state_machine = workflow.state_machine(
            self,
            NAME,
            workflow=Workflow(
                first=self._states(),
                statements=self._statements(),
                # The loops' limits end every wait first: doubled for the polls, the rest for the calls in between.
                timeout_seconds=2 * longest_seconds(settings) + 3600,
                comment="Rescue the vmcore of an instance that does not come back",
                acknowledged=rescue_grants.acknowledged(),
            ),
            settings=settings,
        )

    def _states(self) -> sfn.State:
        remove = self._remove(self._conclude())
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
        copy = CopyDumpVolume(
            self, "Copy dump volume", settings=self._settings, then=collector.start_state, on_failure=remove
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
            profile=self._profile,
            result_path="$.collector",
            failure_path=_FAILURE,
            client_token_path="$.plan.clientToken",  # noqa: S106 - a path, not a secret
            network_interface="$.plan.networkInterface",
            tags="$.plan.collectorTags",
            block_devices=[{"DeviceName": DEVICE, "Ebs": disk}],
            ends_itself_after_seconds=longest_seconds(self._settings),
        )

    def _remove(self, conclude: sfn.State) -> sfn.State:
        """Leftovers must not delay the verdict: they are reported, and the sweep removes them."""
        unknown = set_fields(
            self, "Begin to remove", {"isAnythingLeft": True, "left": ["what it made"]}, result_path="$.facts.removed"
        )
        call = FunctionCall(self._functions.remove_rescue, {"executionName.$": "$$.Execution.Name"})
        check = task(self, "Remove what was made", call, result_path="$.facts.removed")
        polls = polling(REMOVE_SECONDS, self._settings.poll_seconds, max_polls=60)
        loop = Poll(self, "Remove until nothing is left", check=check, polling=polls)
        nothing_left = sfn.Condition.boolean_equals("$.facts.removed.isAnythingLeft", False)
        loop.ends_when(nothing_left, conclude).goes_on_after_errors("$.unremoved").gives_up(conclude)
        unknown.next(loop.start_state)
        return unknown

    def _conclude(self) -> sfn.State:
        return ConcludeIncident(
            self,
            "Conclude incident",
            function=self._shared.conclude_incident,
            incidents=self._parts.incidents,
            proven=Verdict.RESCUED,
            succeeds={Verdict.RESCUED: "Rescued"},
        ).start_state

    def _statements(self) -> list[iam.PolicyStatement]:
        stack, runner = cdk.Stack.of(self), self._parts.runner
        shared = [*self._shared.upload.all(), self._shared.conclude_incident, runner.read_document_result]
        return [
            grants.invoke(*self._functions.all(), *shared),
            *conclude_statements(self._parts.incidents),
            *rescue_grants.copy_volumes(stack),
            *rescue_grants.launch_collectors(
                stack, self._profile, self._settings.rescue_instance_image, self._settings.rescue_instance_type
            ),
            rescue_grants.use_keys_of_copies(stack),
            *rescue_grants.command_collectors(stack, [runner.documents.name(each) for each in _DOCUMENTS]),
        ]
