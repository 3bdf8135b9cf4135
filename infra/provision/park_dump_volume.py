"""The steps that park the dump volume of a ready instance, and those that forget that it was parked.

Parked, there is only a snapshot of the empty volume. The order lets the instance dump at each moment: its crash kernel
waits for a volume from the first of these steps on, and finds the old one until it is detached; before that, the record
says from which snapshot the next one is made.
"""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation import grants
from infra.parts import Parts
from infra.provision.dump_volume import DeleteVolume, DetachVolume
from infra.provision.mark_ready import mark_instance_ready
from infra.respond.gate import PROBE
from infra.settings import Settings
from infra.states.run_document import SHORT_MAX_POLLS, Command, Paths, RunDocument
from infra.states.take_snapshot import Snapshot, TakeSnapshot
from infra.states.tasks import ApiCall, ClosedFragment, name_error, set_fields, task
from lambdas.runtime.errors import DetachmentLate, DumpVolumeHoldsDump, ParkingUnsupported
from lambdas.runtime.tags import PARKED_PREFIX

DOCUMENT = "park_dump_volume"
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


class RemoveParkedVolume(ClosedFragment):
    """Delete the volume at `$.volume` if `$.parked` says that the host saw it empty; to `then`, or `left` if it stays.

    Once it is detached, the host is asked whether it still runs in the boot that saw that: a crash since has written
    its dump there, and ended in another boot.
    """

    def __init__(
        self,
        scope: Construct,
        called: str,
        *,
        parts: Parts,
        settings: Settings,
        then: sfn.IChainable,
        left: sfn.IChainable,
    ) -> None:
        super().__init__(scope, f"Remove {called}")
        delete = DeleteVolume(self, f"Delete {called}", called=called, then=then, left=left)
        ask = RunDocument(
            self,
            f"Ask for the boot without {called}",
            runner=parts.runner,
            command=Command(PROBE, {}, settings.document_timeout_seconds, SHORT_MAX_POLLS),
            paths=Paths(instance_id="$.instanceId", result="$.probed", failure="$.unused"),
        ).on_failure(left)
        is_same = sfn.Choice(self, f"Is it the boot that saw {called} empty?")
        same_boot = sfn.Condition.string_equals_json_path("$.probed.bootId", "$.parked.bootId")
        is_known = sfn.Condition.not_(sfn.Condition.string_equals("$.parked.bootId", ""))
        is_same.when(sfn.Condition.and_(is_known, same_boot), delete.start_state).otherwise(left)
        for end in ask.end_states:
            end.next(is_same)
        detach = DetachVolume(self, called, settings=settings, detached=ask.start_state, gone=then, left=left)
        is_empty = sfn.Choice(self, f"Has the host seen that {called} is empty?")
        was_seen = sfn.Condition.boolean_equals("$.parked.volumeEmpty", True)
        self._start = is_empty.when(was_seen, detach.start_state).otherwise(left)


@dataclass(frozen=True)
class Exits:
    """then: the instance is ready, its volume parked or attached. lost: it waits for no volume that there is."""

    then: sfn.State
    lost: sfn.State
    on_failure: sfn.State


class ParkDumpVolume(ClosedFragment):
    """Says at `$.place` whether the volume is attached or parked, and why it was not parked."""

    def __init__(self, scope: Construct, title: str, *, parts: Parts, settings: Settings, exits: Exits) -> None:
        super().__init__(scope, f"{title}, if wanted")
        failure, table, then, on_failure = "$.failure", parts.incidents.table, exits.then, exits.on_failure
        is_park = sfn.Condition.boolean_equals("$.plan.park", True)
        is_refused = sfn.Condition.is_present("$.place.reason")
        # Somebody may have made the file system again, and the crash kernel waits for the one that is there.
        is_other = sfn.Condition.not_(sfn.Condition.string_equals_json_path("$.parked.uuid", "$.plan.parked.uuid"))
        is_new = sfn.Condition.or_(
            sfn.Condition.boolean_equals("$.plan.parked.isSnapshotNeeded", True),
            is_other,
        )
        was_parked = sfn.Condition.boolean_equals("$.plan.parked.isRecorded", True)
        is_without = sfn.Condition.string_equals("$.volume.volumeId", "")
        parked = set_fields(self, "Note that it is parked", {"status": "parked"}, result_path="$.place")
        parked.next(set_fields(self, "Note that no volume is left", NO_VOLUME, result_path="$.volume")).next(then)
        is_now = sfn.Choice(self, "Is it parked now?")
        is_now.when(sfn.Condition.and_(is_park, sfn.Condition.not_(is_refused)), parked).otherwise(then)
        delete_former = self._delete_former(is_now, on_failure)
        forget = task(
            self,
            "Forget that it was parked",
            ApiCall("dynamodb", "deleteItem", {"TableName": table.table_name, "Key": _KEY}),
        )
        forget.next(delete_former)

        record = task(self, "Record parked dump volume", _put(table))
        is_replaced = sfn.Choice(self, "Is its snapshot new?").when(is_new, delete_former).otherwise(parked)
        left = name_error(
            self,
            "Say that the parked volume was left",
            DetachmentLate,
            "'The dump volume of {} is parked, but {} stays: it was not detached, or there may be a dump on it. Run "
            "this again: it is attached and looked at.', $.instanceId, $.volume.volumeId",
            result_path=failure,
        )
        left.next(on_failure)
        remove = RemoveParkedVolume(
            self, "the parked volume", parts=parts, settings=settings, then=is_replaced, left=left
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
        is_attached.when(sfn.Condition.and_(is_without, is_other), exits.lost)
        is_attached.when(is_without, parked)
        is_attached.when(is_new, snapshot.start_state).otherwise(remove.start_state)
        stays = set_fields(
            self,
            "Say why it stays attached",
            {"status": "attached", "reason.$": "$.refusal.said.errorMessage"},
            result_path="$.place",
        )
        # The error of a function: {"errorMessage": "…", "errorType": "…", "stackTrace": […]}
        read = sfn.Pass(
            self,
            "Read why it stays attached",
            parameters={"said.$": "States.StringToJson($.failure.Cause)"},
            result_path="$.refusal",
        )
        # From now on the host waits for no volume.
        stays.next(sfn.Choice(self, "Was it parked before?").when(was_parked, forget).otherwise(then))
        refused = sfn.Choice(self, "Is there a volume that stays attached?")
        refused.when(is_without, exits.lost)
        refused.otherwise(read.next(stays))
        park = RunDocument(
            self,
            title,
            runner=parts.runner,
            command=park_command(
                settings, mount_point="$.plan.checkParameters.mountPoint", volume_id="$.volume.parameter.volumeId"
            ),
            paths=Paths(instance_id="$.instanceId", result="$.parked", failure=failure),
        )
        park.on_failure(refused, errors=_STAYS_ATTACHED).on_failure(on_failure)
        # Its kdump may have another configuration now.
        mark = mark_instance_ready(self, "Mark instance ready to wait", instance_id="$.instanceId", kdump="$.parked")
        for end in park.end_states:
            end.next(mark)
        mark.next(is_attached)
        for each in (forget, record, mark):
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
        "volumeId": {"S.$": "$.volume.volumeId"},
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
