"""The steps that take a snapshot of a volume and wait for it; they change neither the volume nor its instance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.settings import Settings
from infra.states.poll import Poll, polling
from infra.states.tasks import ApiCall, ClosedFragment, name_error, task
from lambdas.runtime.errors import DumpVolumeCopyBroken, DumpVolumeCopyLate, HangdumpError

_MAX_POLLS = 150


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The snapshot to take: of which volume (a path), what else CreateSnapshot is told, how long it may take.

    `called` is what the states call it; `result` and `failure` are the paths where its `snapshotId` and an error go.
    """

    of_volume: str
    told: Mapping[str, Any]
    seconds: int
    called: str
    result: str
    failure: str


class TakeSnapshot(ClosedFragment):
    """Leads to `then` when the snapshot is complete."""

    def __init__(
        self,
        scope: Construct,
        title: str,
        *,
        wanted: Snapshot,
        settings: Settings,
        then: sfn.IChainable,
        on_failure: sfn.IChainable,
    ) -> None:
        super().__init__(scope, f"{title} states")
        self._wanted = wanted
        create = task(
            self,
            title,
            ApiCall(
                "ec2",
                "createSnapshot",
                {"VolumeId.$": wanted.of_volume, **wanted.told},
                {"snapshotId.$": "$.SnapshotId"},
            ),
            result_path=wanted.result,
            # EC2 allows one snapshot of a volume in 15 s: the retries take longer.
            comment="Without a ClientToken a retry may create a second one: both get the tag by which they are removed",
        )
        kept = {"snapshotId.$": "$.Snapshots[0].SnapshotId", "state.$": "$.Snapshots[0].State"}
        described = ApiCall(
            "ec2", "describeSnapshots", {"SnapshotIds.$": f"States.Array({wanted.result}.snapshotId)"}, kept
        )
        check = task(self, f"Look at {wanted.called}", described, result_path=wanted.result)
        polls = polling(wanted.seconds, settings.poll_seconds, max_polls=_MAX_POLLS)
        loop = Poll(self, f"Wait for {wanted.called}", check=check, polling=polls)
        broken = self._say("broke", DumpVolumeCopyBroken, "went to state error")
        late = self._say("is late", DumpVolumeCopyLate, f"did not complete in {wanted.seconds} s")
        state = f"{wanted.result}.state"
        loop.ends_when(sfn.Condition.string_equals(state, "completed"), then)
        loop.ends_when(sfn.Condition.not_(sfn.Condition.string_equals(state, "pending")), broken)
        loop.gives_up(late)
        for each in (create, check):
            each.add_catch(on_failure, errors=["States.ALL"], result_path=wanted.failure)
        for end in (broken, late):
            end.next(on_failure)
        create.next(loop.start_state)
        self._start = create

    def _say(self, what: str, error: type[HangdumpError], happened: str) -> sfn.Pass:
        wanted = self._wanted
        cause = f"'Snapshot {{}} of {{}} {happened}.', {wanted.result}.snapshotId, {wanted.of_volume}"
        return name_error(self, f"Say that {wanted.called} {what}", error, cause, result_path=wanted.failure)
