"""The steps that create a dump volume and attach it to the instance, and those that remove it after a failure."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.settings import Settings
from infra.states.poll import Poll, polling
from infra.states.tasks import ApiCall, ClosedFragment, name_error, set_fields, task
from lambdas.runtime.errors import AttachmentLate, DumpVolumeBroken, DumpVolumeLate, HangdumpError
from lambdas.runtime.tags import DUMP_VOLUME_RECORD_PREFIX

# An empty volume takes seconds, an attachment less than a minute.
CREATE_SECONDS = 300
# CollectVmcore does both several times.
_MAX_POLLS = 15
_IS_FOUND = sfn.Condition.is_present("$.seen.Volumes[0]")
# DescribeVolumes by id: InvalidVolume.NotFound, of which Step Functions gives the message alone.
_DOES_NOT_EXIST = "*does not exist*"


class CreateDumpVolume(sfn.StateMachineFragment):
    """Create the planned volume, record it, and wait until it can be attached. Sets `$.volume`.

    `volume`: empty_volume, or parked_volume.
    """

    def __init__(
        self,
        scope: Construct,
        title: str,
        *,
        volume: Mapping[str, Any],
        table: dynamodb.Table,
        settings: Settings,
        on_failure: sfn.State,
    ) -> None:
        super().__init__(scope, f"{title} states")
        self._create = task(
            self,
            title,
            _create_volume(volume),
            result_path="$.volume",
            comment="A retry is harmless: the plan's ClientToken makes EC2 answer with the first volume",
        )
        described = ApiCall(
            "ec2",
            "describeVolumes",
            {"VolumeIds.$": "States.Array($.volume.volumeId)"},
            {"volume.$": "$.Volumes[0]"},
        )
        check = task(self, "Look at dump volume", described, result_path="$.seen")
        polls = polling(CREATE_SECONDS, settings.poll_seconds, max_polls=_MAX_POLLS)
        wait = Poll(self, "Wait for dump volume", check=check, polling=polls)
        broken = name_error(
            self,
            "Say that the volume broke",
            DumpVolumeBroken,
            # CreateVolume answers before EC2 uses the KMS key: a denied key shows only here, most often in that the
            # volume is no longer there.
            "'Volume {} disappeared or went to state error. Most often this state machine may not use the default EBS "
            "encryption key: let its role use it in the key policy, then run this again.', $.volume.volumeId",
            result_path="$.failure",
        )
        late = _say(self, "Say that the volume is late", DumpVolumeLate, "did not become available")
        self._done = sfn.Pass(self, "Take the available volume")
        for state, result in (("available", self._done), ("error", broken)):
            wait.ends_when(sfn.Condition.string_equals("$.seen.volume.State", state), result)
        wait.gives_up(late)
        self._wait = wait.start_state
        # A later execution takes an unattached volume only with this record, which volume_record.py of lambdas/ reads.
        item = {
            "pk": {"S.$": f"States.Format('{DUMP_VOLUME_RECORD_PREFIX}{{}}', $.volume.volumeId)"},
            "instanceId": {"S.$": "$.instanceId"},
            "autoScalingGroup": {"S.$": "$.plan.volume.autoScalingGroup"},
            "network": {"S.$": "States.JsonToString($.plan.volume.network)"},
        }
        put = ApiCall("dynamodb", "putItem", {"TableName": table.table_name, "Item": item})
        record = task(self, "Record dump volume", put)
        self._create.next(record).next(self._wait)
        is_gone = sfn.Choice(self, "Has the volume disappeared?")
        is_gone.when(sfn.Condition.string_matches("$.failure.Cause", _DOES_NOT_EXIST), broken).otherwise(on_failure)
        check.add_catch(is_gone, errors=["Ec2.Ec2Exception"], result_path="$.failure")
        for each in (self._create, record, check):
            each.add_catch(on_failure, errors=["States.ALL"], result_path="$.failure")
        for end in (broken, late):
            end.next(on_failure)

    @property
    def start_state(self) -> sfn.State:
        """The creation."""
        return self._create

    @property
    def wait_state(self) -> sfn.State:
        """The entry for an existing volume: after an interrupted execution it may still be `creating`."""
        return self._wait

    @property
    def end_states(self) -> list[sfn.INextable]:
        """The volume is available."""
        return [self._done]


class AttachDumpVolume(sfn.StateMachineFragment):
    """Attach `$.volume` to the instance at the planned device and wait for the attachment."""

    def __init__(self, scope: Construct, title: str, *, settings: Settings, on_failure: sfn.State) -> None:
        super().__init__(scope, f"{title} states")
        self._attach = task(
            self,
            title,
            ApiCall(
                "ec2",
                "attachVolume",
                {
                    "InstanceId.$": "$.instanceId",
                    "VolumeId.$": "$.volume.volumeId",
                    "Device.$": "$.plan.volume.device",
                },
            ),
            comment="AttachVolume has no token: a retry after a success answers VolumeInUse, so after an error check "
            "where the volume is attached",
        )
        check = task(self, "Look at attachment", _attached_here("attached"), result_path="$.seen")
        polls = polling(CREATE_SECONDS, settings.poll_seconds, max_polls=_MAX_POLLS)
        wait = Poll(self, "Wait for attachment", check=check, polling=polls)
        late = _say(self, "Say that the attachment is late", AttachmentLate, "was not attached")
        self._done = sfn.Pass(self, "Take the attached volume")
        wait.ends_when(_IS_FOUND, self._done).gives_up(late)
        late.next(on_failure)
        self._attach.next(wait.start_state)
        ask = task(self, "Ask who has the volume", _attached_here("attaching", "attached"), result_path="$.seen")
        is_here = sfn.Choice(self, "Is it attached all the same?")
        ask.next(is_here.when(_IS_FOUND, wait.start_state).otherwise(on_failure))
        self._attach.add_catch(ask, errors=["Ec2.Ec2Exception"], result_path="$.failure")
        # Report the original error, not this lookup's.
        ask.add_catch(on_failure, errors=["States.ALL"], result_path="$.unasked")
        for each in (self._attach, check):
            each.add_catch(on_failure, errors=["States.ALL"], result_path="$.failure")

    @property
    def start_state(self) -> sfn.State:
        """The attachment."""
        return self._attach

    @property
    def end_states(self) -> list[sfn.INextable]:
        """The volume is attached."""
        return [self._done]


def empty_volume(settings: Settings) -> dict[str, Any]:
    """A new volume, as fast as the settings say."""
    return {
        "Size.$": "$.plan.volume.sizeGib",
        "Iops": settings.volume_iops,
        "Throughput": settings.volume_throughput_mibs,
    }


def parked_volume(settings: Settings) -> dict[str, Any]:
    """A volume from the snapshot of a parked one, for the minutes of a dump."""
    return {"SnapshotId.$": "$.plan.snapshotId", "Throughput": settings.parked_volume_throughput_mibs}


def _create_volume(volume: Mapping[str, Any]) -> ApiCall:
    parameters: dict[str, Any] = {
        "AvailabilityZone.$": "$.plan.availabilityZone",
        "VolumeType": "gp3",
        **volume,
        "Encrypted": True,
        "ClientToken.$": "$.plan.volume.clientToken",
        "TagSpecifications": [{"ResourceType": "volume", "Tags.$": "$.plan.volume.tags"}],
    }
    kept = {
        "volumeId.$": "$.VolumeId",
        # Merged into the documents' parameters, whose values are lists.
        "parameter": {"volumeId.$": "States.Array($.VolumeId)"},
        "removeOnFailure": True,
    }
    return ApiCall("ec2", "createVolume", parameters, kept)


def _attached_here(*states: str) -> ApiCall:
    """Finds the volume only if it is attached to this instance. A filter, because Attachments may be absent."""
    filters = [
        {"Name": "attachment.instance-id", "Values.$": "States.Array($.instanceId)"},
        {"Name": "attachment.status", "Values": list(states)},
    ]
    return ApiCall("ec2", "describeVolumes", {"VolumeIds.$": "States.Array($.volume.volumeId)", "Filters": filters})


def _say(scope: Construct, name: str, error: type[HangdumpError], what: str) -> sfn.Pass:
    cause = (
        f"'Volume {{}} {what} within {CREATE_SECONDS} s. Look at it and at {{}} in EC2, then run this again.', "
        "$.volume.volumeId, $.instanceId"
    )
    return name_error(scope, name, error, cause, result_path="$.failure")


# A guest that has mounted the volume keeps it "busy". Then it stays attached, with its tag, and the next run uses it.
DETACH_SECONDS = 120


class DetachVolume(ClosedFragment):
    """Detach the volume at `$.volume` from the instance; leads to `detached`, `gone`, or `left` if it stays attached.

    `called` is what the states call it.
    """

    def __init__(
        self,
        scope: Construct,
        called: str,
        *,
        settings: Settings,
        detached: sfn.IChainable,
        gone: sfn.IChainable,
        left: sfn.IChainable,
    ) -> None:
        super().__init__(scope, f"Detach {called} states")
        attached_here = {"VolumeId.$": "$.volume.volumeId", "InstanceId.$": "$.instanceId"}
        detach = task(self, f"Detach {called}", ApiCall("ec2", "detachVolume", attached_here))
        state = ApiCall(
            "ec2",
            "describeVolumes",
            {"VolumeIds.$": "States.Array($.volume.volumeId)"},
            {"volume.$": "$.Volumes[0]"},
        )
        check = task(self, f"Look at {called}", state, result_path="$.unused")
        check_again = task(self, f"Look again at {called}", state, result_path="$.unused")
        wait = Poll(
            self,
            f"Wait until {called} is detached",
            check=check_again,
            polling=polling(DETACH_SECONDS, settings.poll_seconds, max_polls=60),
        )
        in_use = sfn.Condition.string_equals("$.unused.volume.State", "in-use")
        is_attached = sfn.Choice(self, f"Is {called} attached?")
        check.next(is_attached.when(in_use, detach).otherwise(detached))
        detach.next(wait.start_state)
        wait.ends_when(sfn.Condition.not_(in_use), detached).gives_up(left)
        is_gone = sfn.Choice(self, f"Had {called} disappeared?")
        is_gone.when(sfn.Condition.string_matches("$.unused.Cause", _DOES_NOT_EXIST), gone).otherwise(left)
        check.add_catch(is_gone, errors=["Ec2.Ec2Exception"], result_path="$.unused")
        for each in (check, detach, check_again):
            each.add_catch(left, errors=["States.ALL"], result_path="$.unused")
        self._start = check


class DeleteVolume(ClosedFragment):
    """Delete the detached volume at `$.volume`; leads to `then`, or to `left` if it stays."""

    def __init__(
        self, scope: Construct, title: str, *, called: str, then: sfn.IChainable, left: sfn.IChainable
    ) -> None:
        super().__init__(scope, f"{title} states")
        delete = task(self, title, ApiCall("ec2", "deleteVolume", {"VolumeId.$": "$.volume.volumeId"}))
        # An answer may be lost, and of what is gone IAM sees no tag: the second attempt is denied.
        filters = [{"Name": "volume-id", "Values.$": "States.Array($.volume.volumeId)"}]
        look = ApiCall("ec2", "describeVolumes", {"Filters": filters})
        see = task(self, f"See whether {called} is deleted", look, result_path="$.unused")
        is_deleted = sfn.Choice(self, f"Is {called} deleted?")
        is_there = sfn.Condition.is_present("$.unused.Volumes[0]")
        is_going = sfn.Condition.string_equals("$.unused.Volumes[0].State", "deleting")
        is_deleted.when(sfn.Condition.and_(is_there, sfn.Condition.not_(is_going)), left).otherwise(then)
        see.next(is_deleted)
        delete.add_catch(see, errors=["States.ALL"], result_path="$.unused")
        see.add_catch(left, errors=["States.ALL"], result_path="$.unused")
        delete.next(then)
        self._start = delete


class RemoveUnusedVolume(ClosedFragment):
    """Remove the volume at `$.volume` if it is removeOnFailure; leads to `then` in any case."""

    def __init__(self, scope: Construct, title: str, *, settings: Settings, then: sfn.IChainable) -> None:
        super().__init__(scope, f"{title}, if any")
        left = set_fields(
            self,
            "Say that the volume was left",
            {
                "Error.$": "$.failure.Error",
                "Cause.$": "States.Format('{} (The new volume {} could not be removed. It is tagged, and the next run "
                "uses it.)', $.failure.Cause, $.volume.volumeId)",
            },
            result_path="$.failure",
        )
        left.next(then)
        called = "unused dump volume"
        delete = DeleteVolume(self, title, called=called, then=then, left=left)
        remove = DetachVolume(self, called, settings=settings, detached=delete.start_state, gone=then, left=left)
        self._start = sfn.Choice(self, "Is there an unused dump volume?")
        unused = sfn.Condition.and_(
            sfn.Condition.is_present("$.volume.removeOnFailure"),
            sfn.Condition.boolean_equals("$.volume.removeOnFailure", True),
        )
        self._start.when(unused, remove.start_state).otherwise(then)
