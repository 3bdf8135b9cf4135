"""The rounds of an upload: plan the missing parts, let the instance send them, plan again. Bounded; never restarts."""

from dataclasses import dataclass

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.parts import INCIDENT
from infra.settings import Settings
from infra.states.run_document import Command, DocumentRunner, Paths, RunDocument
from infra.states.tasks import FunctionCall, name_error, set_fields, task
from infra.upload.functions import UploadFunctions
from lambdas.runtime.errors import (
    DocumentFailed,
    DocumentTimedOut,
    InstanceUnreachable,
    UploadFailed,
    UploadIncomplete,
    UploadRefused,
)

# A round sends one batch (lambdas/upload/part_plan.py). tests/infra/test_upload_quotas.py computes the rounds that
# 24 TiB of memory take.
UPLOAD_ROUNDS = 45
# Consecutive rounds without progress.
STALLED_ROUNDS = 4
# Each poll adds 9 history events: all rounds together need less than half of the limit of 25,000.
MAX_POLLS = 30


@dataclass(frozen=True)
class Reader:
    """The instance that reads the vmcore, its mount point, and the workflow to run again after an unfinished upload."""

    runner: DocumentRunner
    instance_id: str
    mount_point: str
    rerun_workflow: str


# After these another round may succeed, with new URLs or an instance that answers again. Other errors would repeat.
_WORTH_ANOTHER_ROUND = [
    error.__name__ for error in (UploadFailed, UploadRefused, InstanceUnreachable, DocumentFailed, DocumentTimedOut)
]


class UploadVmcore(sfn.StateMachineFragment):
    """Ends when nothing is left to send. Every failure leads to `then`, with its reason at `$.facts.error`."""

    def __init__(
        self,
        scope: Construct,
        title: str,
        *,
        functions: UploadFunctions,
        settings: Settings,
        reader: Reader,
        then: sfn.IChainable,
    ) -> None:
        super().__init__(scope, f"{title} states")
        self._start = set_fields(self, "Start uploading", {"rounds": 0}, result_path="$.uploading")
        payload = {"incident.$": "$.facts.incident", "found.$": "$.facts.found", "round.$": "$.uploading.rounds"}
        plan = task(self, "Plan upload", FunctionCall(functions.plan_upload, payload), result_path="$.upload")
        plan.add_catch(then, errors=["States.ALL"], result_path="$.facts.error")
        count = set_fields(
            self, "Count the round", {"rounds.$": "States.MathAdd($.uploading.rounds, 1)"}, result_path="$.uploading"
        )
        failed = sfn.Pass(
            self, "Note why the upload failed", input_path="$.uploading.failure", result_path="$.facts.error"
        )
        unfinished = name_error(
            self,
            "Say that the upload is unfinished",
            UploadIncomplete,
            "'{} of {} parts are in S3 after {} rounds. The vmcore stays on {}: run "
            f"{reader.rerun_workflow} again.', $.upload.heldParts, $.upload.parts, $.uploading.rounds, "
            "$.facts.incident.instanceId",
            result_path="$.facts.error",
        )
        send = _send(self, title, functions=functions, settings=settings, reader=reader)
        send.on_failure(plan, errors=_WORTH_ANOTHER_ROUND).on_failure(failed)
        self._done = sfn.Pass(self, "Take the uploaded parts")

        is_left = sfn.Choice(self, "Is anything left to upload?")
        is_stalled = sfn.Condition.number_greater_than_equals("$.upload.stalledRounds", STALLED_ROUNDS)
        is_spent = sfn.Condition.number_greater_than_equals("$.uploading.rounds", UPLOAD_ROUNDS)
        is_failed = sfn.Condition.is_present("$.uploading.failure.Error")
        is_left.when(sfn.Condition.boolean_equals("$.upload.isAnythingLeft", False), self._done)
        is_left.when(sfn.Condition.and_(is_stalled, is_failed), failed)
        is_left.when(is_stalled, unfinished)
        is_left.when(is_spent, unfinished)
        is_left.otherwise(count)
        self._start.next(plan).next(is_left)
        count.next(send.start_state)
        for end in send.end_states:
            end.next(plan)
        for last in (failed, unfinished):
            last.next(then)

    @property
    def start_state(self) -> sfn.State:
        """The first round."""
        return self._start

    @property
    def end_states(self) -> list[sfn.INextable]:
        """All parts are in the bucket."""
        return [self._done]


def _send(
    scope: Construct, title: str, *, functions: UploadFunctions, settings: Settings, reader: Reader
) -> RunDocument:
    parameters = {
        "mountPoint": [reader.mount_point],
        "action": ["upload"],
        "manifestUrl.$": "States.Array($.upload.manifestUrl)",
        "vmcorePath.$": "States.Array($.upload.vmcorePath)",
        "sizeBytes.$": "States.Array(States.JsonToString($.upload.sizeBytes))",
        "modifiedEpoch.$": "States.Array(States.JsonToString($.upload.modifiedEpoch))",
        "limitMibs": [str(settings.upload_limit_mibs)],
    }
    event = {
        "commandId.$": "$.command.commandId",
        "instanceId.$": reader.instance_id,
        "incidentId.$": INCIDENT,
        "upload.$": "$.upload",
    }
    check = FunctionCall(functions.watch_upload, event)
    command = Command("upload_vmcore", parameters, settings.upload_timeout_seconds, MAX_POLLS, check)
    paths = Paths(reader.instance_id, "$.uploading.sent", "$.uploading.failure", incident_id=INCIDENT)
    return RunDocument(scope, title, runner=reader.runner, command=command, paths=paths)
