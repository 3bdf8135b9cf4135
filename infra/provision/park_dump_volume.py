"""The steps that park the dump volume of a ready instance, and those that forget that it was parked.

Parked, there is only a snapshot of the empty volume. The order lets the instance dump at each moment: its crash kernel
waits for a volume from the first of these steps on, and finds the old one until it is detached; before that, the record
says from which snapshot the next one is made.
"""

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation import grants
from infra.parts import Parts
from infra.provision.dump_volume import RemoveVolume
from infra.settings import Settings
from infra.states.run_document import Command, Paths, RunDocument
from infra.states.take_snapshot import Snapshot, TakeSnapshot
from infra.states.tasks import ApiCall, ClosedFragment, name_error, set_fields, task
from lambdas.runtime.errors import DetachmentLate, DumpVolumeHoldsDump, ParkingUnsupported
from lambdas.runtime.tags import PARKED_PREFIX

DOCUMENT = "park_dump_volume"
# It takes seconds, and all loops of CollectVmcore share a history.
SHORT_MAX_POLLS = 40
_SNAPSHOT = Snapshot(
    called="the snapshot",
    of_volume="$.volume.volumeId",
    told={
        "Description.$": "States.Format('The empty dump volume of {}, parked', $.instanceId)",
        "TagSpecifications": [{"ResourceType": "snapshot", "Tags.$": "$.plan.volume.tags"}],
    },
    # An empty one takes a minute, one that dumps have filled before takes as long as any copy.
    seconds=4 * 3600,
    result="$.snapshot",
    failure="$.failure",
)
SNAPSHOT_SECONDS = _SNAPSHOT.seconds
_KEY = {"pk": {"S.$": f"States.Format('{PARKED_PREFIX}{{}}', $.instanceId)"}}
NO_VOLUME = {"volumeId": "", "parameter": {"volumeId": ["none"]}, "removeOnFailure": False}
# With these the volume stays attached, and the instance is as ready as before.
_STAYS_ATTACHED = [ParkingUnsupported.__name__, DumpVolumeHoldsDump.__name__]


class ParkDumpVolume(ClosedFragment):
    """Leads to `then`, and says at `$.place` whether it is attached or parked, and why it was not parked."""

    def __init__(
        self,
        scope: Construct,
        title: str,
        *,
        parts: Parts,
        settings: Settings,
        then: sfn.State,
        on_failure: sfn.State,
    ) -> None:
        super().__init__(scope, f"{title}, if wanted")
        failure, table = "$.failure", parts.incidents.table
        is_park = sfn.Condition.boolean_equals("$.plan.park", True)
        # Somebody may have made the file system again, and the crash kernel waits for the one that is there.
        is_new = sfn.Condition.or_(
            sfn.Condition.boolean_equals("$.plan.parked.isSnapshotNeeded", True),
            sfn.Condition.not_(sfn.Condition.string_equals_json_path("$.parked.uuid", "$.plan.parked.uuid")),
        )
        was_parked = sfn.Condition.boolean_equals("$.plan.parked.isRecorded", True)
        parked = set_fields(self, "Note that it is parked", {"status": "parked"}, result_path="$.place")
        parked.next(set_fields(self, "Note that no volume is left", NO_VOLUME, result_path="$.volume")).next(then)
        is_now = sfn.Choice(self, "Is it parked now?").when(is_park, parked).otherwise(then)
        delete_former = self._delete_former(is_now, on_failure)
        forget = task(
            self,
            "Forget that it was parked",
            ApiCall("dynamodb", "deleteItem", {"TableName": table.table_name, "Key": _KEY}),
        )
        forget.next(delete_former)

        record = task(self, "Record parked dump volume", _put(table))
        is_replaced = sfn.Choice(self, "Is its snapshot new?").when(is_new, delete_former).otherwise(parked)
        late = name_error(
            self,
            "Say that the parked volume was left",
            DetachmentLate,
            "'The dump volume of {} is parked, but {} could not be detached and deleted. Look at it in EC2, then run "
            "this again.', $.instanceId, $.volume.volumeId",
            result_path=failure,
        )
        late.next(on_failure)
        remove = RemoveVolume(
            self, "Delete parked volume", called="the parked volume", settings=settings, then=is_replaced, left=late
        )
        record.next(remove.start_state)
        snapshot = TakeSnapshot(
            self,
            "Take snapshot of dump volume",
            wanted=_SNAPSHOT,
            settings=settings,
            then=record,
            on_failure=on_failure,
        )
        is_attached = sfn.Choice(self, "Is there a volume to park?")
        is_attached.when(sfn.Condition.string_equals("$.volume.volumeId", ""), parked)
        is_attached.when(is_new, snapshot.start_state).otherwise(remove.start_state)
        stays = set_fields(
            self,
            "Say why it stays attached",
            {"status": "attached", "reason.$": "$.failure.Cause"},
            result_path="$.place",
        )
        stays.next(then)
        park = RunDocument(
            self,
            title,
            runner=parts.runner,
            command=park_command(
                settings, mount_point="$.plan.checkParameters.mountPoint", volume_id="$.volume.parameter.volumeId"
            ),
            paths=Paths(instance_id="$.instanceId", result="$.parked", failure=failure),
        )
        park.on_failure(stays, errors=_STAYS_ATTACHED).on_failure(on_failure)
        for end in park.end_states:
            end.next(is_attached)
        for each in (forget, record):
            each.add_catch(on_failure, errors=["States.ALL"], result_path=failure)
        self._start = sfn.Choice(self, "Is the dump volume to be parked?")
        self._start.when(is_park, park.start_state).when(was_parked, forget).otherwise(then)

    def _delete_former(self, then: sfn.IChainable, on_failure: sfn.State) -> sfn.State:
        """Delete the snapshot of before, if there is one."""
        former, failure = "$.plan.parked.snapshotId", "$.failure"
        delete = task(self, "Delete former snapshot", ApiCall("ec2", "deleteSnapshot", {"SnapshotId.$": former}))
        # An answer may be lost, and of what is gone IAM sees no tag: the second attempt is denied.
        filters = [{"Name": "snapshot-id", "Values.$": f"States.Array({former})"}]
        look = ApiCall("ec2", "describeSnapshots", {"Filters": filters})
        see = task(self, "See whether former snapshot is deleted", look, result_path="$.former")
        is_there = sfn.Condition.is_present("$.former.Snapshots[0]")
        see.next(sfn.Choice(self, "Is former snapshot deleted?").when(is_there, on_failure).otherwise(then))
        delete.add_catch(see, errors=["States.ALL"], result_path=failure)
        # Report the original error, not this lookup's.
        see.add_catch(on_failure, errors=["States.ALL"], result_path="$.unseen")
        delete.next(then)
        is_none = sfn.Condition.string_equals(former, "")
        return sfn.Choice(self, "Is there a former snapshot?").when(is_none, then).otherwise(delete)


def park_command(settings: Settings, *, mount_point: str, volume_id: str) -> Command:
    """Unmount the volume and let the crash kernel wait for the next one; takes the paths of lists."""
    parameters = {
        "action": ["park"],
        "mountPoint.$": mount_point,
        "volumeId.$": volume_id,
        "waitSeconds": [str(settings.parked_wait_seconds)],
    }
    return Command(DOCUMENT, parameters, settings.document_timeout_seconds, SHORT_MAX_POLLS)


def _put(table: dynamodb.Table) -> ApiCall:
    item = {
        **_KEY,
        "instanceId": {"S.$": "$.instanceId"},
        "snapshotId": {"S.$": "$.snapshot.snapshotId"},
        "sizeGib": {"N.$": "States.JsonToString($.plan.volume.sizeGib)"},
        "uuid": {"S.$": "$.parked.uuid"},
        "mountPoint": {"S.$": "$.plan.checkParameters.mountPoint[0]"},
    }
    return ApiCall("dynamodb", "putItem", {"TableName": table.table_name, "Item": item})


def statements(stack: cdk.Stack, table: dynamodb.Table) -> list[iam.PolicyStatement]:
    """Take snapshots of our volumes with our tags, delete those, and record them."""
    return [
        *grants.snapshot_dump_volumes(stack),
        grants.delete_parked_snapshots(stack),
        grants.keep_parked(table, "PutItem", "DeleteItem"),
    ]
