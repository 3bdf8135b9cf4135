"""The steps that copy a dump volume without a change to it or its instance: take a snapshot and wait for it."""

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.settings import Settings
from infra.states.poll import Poll, polling
from infra.states.tasks import ApiCall, ClosedFragment, name_error, task
from lambdas.runtime.errors import DumpVolumeCopyBroken, DumpVolumeCopyLate, HangdumpError

# The first snapshot of a volume copies every block that was ever written: an hour or more for 1 TiB (inferred, not
# measured).
COPY_SECONDS = 4 * 3600
_MAX_POLLS = 150


class CopyDumpVolume(ClosedFragment):
    """Leads to `then` with the snapshot's id at `$.copy.snapshotId`."""

    def __init__(
        self, scope: Construct, title: str, *, settings: Settings, then: sfn.IChainable, on_failure: sfn.IChainable
    ) -> None:
        super().__init__(scope, f"{title} states")
        create = task(
            self,
            title,
            ApiCall(
                "ec2",
                "createSnapshot",
                {
                    "VolumeId.$": "$.plan.volumeId",
                    "Description.$": "$.plan.description",
                    "TagSpecifications.$": "$.plan.copyTags",
                },
                {"snapshotId.$": "$.SnapshotId"},
            ),
            result_path="$.copy",
            # EC2 allows one snapshot of a volume in 15 s: the retries take longer.
            comment="Without a ClientToken a retry may create a second one: both get the tag by which they are removed",
        )
        kept = {"snapshotId.$": "$.Snapshots[0].SnapshotId", "state.$": "$.Snapshots[0].State"}
        described = ApiCall("ec2", "describeSnapshots", {"SnapshotIds.$": "States.Array($.copy.snapshotId)"}, kept)
        check = task(self, "Look at the copy", described, result_path="$.copy")
        polls = polling(COPY_SECONDS, settings.poll_seconds, max_polls=_MAX_POLLS)
        loop = Poll(self, "Wait for the copy", check=check, polling=polls)
        broken = self._say("Say that the copy broke", DumpVolumeCopyBroken, "went to state error")
        late = self._say("Say that the copy is late", DumpVolumeCopyLate, f"did not complete in {COPY_SECONDS} s")
        loop.ends_when(sfn.Condition.string_equals("$.copy.state", "completed"), then)
        loop.ends_when(sfn.Condition.not_(sfn.Condition.string_equals("$.copy.state", "pending")), broken)
        loop.gives_up(late)
        for each in (create, check):
            each.add_catch(on_failure, errors=["States.ALL"], result_path="$.facts.error")
        for end in (broken, late):
            end.next(on_failure)
        create.next(loop.start_state)
        self._start = create

    def _say(self, name: str, error: type[HangdumpError], what: str) -> sfn.Pass:
        cause = f"'Snapshot {{}} of {{}} {what}.', $.copy.snapshotId, $.plan.volumeId"
        return name_error(self, name, error, cause, result_path="$.facts.error")
