"""The steps that bring a dump volume to the instance: create it, wait, attach it, wait."""

from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.poll import Poll
from infra.polling import polling
from infra.settings import Settings
from infra.tasks import ApiCall, note, task

# An empty volume takes seconds, an attachment less than a minute.
CREATE_SECONDS = 300

_THE_VOLUME = ApiCall(
    "ec2",
    "describeVolumes",
    {"VolumeIds.$": "States.Array($.volume.volumeId)"},
    {"state.$": "$.Volumes[0].State", "volume.$": "$.Volumes[0]"},
)


class CreateDumpVolume(sfn.StateMachineFragment):
    """Create the planned volume and wait until it can be attached. Leaves `$.volume`."""

    def __init__(self, scope: Construct, title: str, *, settings: Settings, on_failure: sfn.State) -> None:
        super().__init__(scope, f"{title} states")
        self._create = task(
            self,
            title,
            _create_volume(settings),
            keep_as="$.volume",
            comment="A retry is harmless: the plan's ClientToken makes EC2 answer with the first volume",
        )
        look = task(self, "Look at dump volume", _THE_VOLUME, keep_as="$.seen")
        polls = polling(CREATE_SECONDS, settings.poll_seconds, at_most=60)
        wait = Poll(self, "Wait for dump volume", look=look, polling=polls)
        broken = note(
            self,
            "Say that the volume broke",
            {
                "Error": "DumpVolumeBroken",
                # CreateVolume has answered before EC2 asks KMS, so a key it may not use is only seen here.
                "Cause.$": "States.Format('The new volume {} went to state error. Most often this state machine may "
                "not use the default EBS encryption key: allow its role in the key policy, then run this again.', "
                "$.volume.volumeId)",
            },
            keep_as="$.failure",
        )
        late = _say(self, "Say that the volume is late", "DumpVolumeLate", "did not become available")
        self._done = sfn.Pass(self, "Take the new volume")
        for state, result in (("available", self._done), ("error", broken)):
            wait.ends_when(sfn.Condition.string_equals("$.seen.state", state), result)
        wait.gives_up(late)
        self._create.next(wait.start_state)
        for each in (self._create, look):
            each.add_catch(on_failure, errors=["States.ALL"], result_path="$.failure")
        for end in (broken, late):
            end.next(on_failure)

    @property
    def start_state(self) -> sfn.State:
        """The creation."""
        return self._create

    @property
    def end_states(self) -> list[sfn.INextable]:
        """The volume is available."""
        return [self._done]


class AttachDumpVolume(sfn.StateMachineFragment):
    """Attach `$.volume` to the instance on the planned device and wait until it is."""

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
            comment="AttachVolume has no token: the retry of one that worked answers VolumeInUse, so an error is "
            "judged by looking who has the volume",
        )
        look = task(self, "Look at attachment", _THE_VOLUME, keep_as="$.seen")
        polls = polling(CREATE_SECONDS, settings.poll_seconds, at_most=60)
        wait = Poll(self, "Wait for attachment", look=look, polling=polls)
        late = _say(self, "Say that the attachment is late", "AttachmentLate", "was not attached")
        self._done = sfn.Pass(self, "Take the attached volume")
        wait.ends_when(_attached_here("attached"), self._done)
        # EC2 refused, and it is not as if the attachment were on its way: the refusal is the answer.
        refused = sfn.Condition.and_(
            sfn.Condition.is_present("$.failure.Error"), sfn.Condition.not_(_attached_here("attaching"))
        )
        wait.ends_when(refused, on_failure).gives_up(late)
        late.next(on_failure)
        self._attach.next(wait.start_state)
        self._attach.add_catch(wait.start_state, errors=["Ec2.Ec2Exception"], result_path="$.failure")
        for each in (self._attach, look):
            each.add_catch(on_failure, errors=["States.ALL"], result_path="$.failure")

    @property
    def start_state(self) -> sfn.State:
        """The attachment."""
        return self._attach

    @property
    def end_states(self) -> list[sfn.INextable]:
        """The volume is attached."""
        return [self._done]


def _create_volume(settings: Settings) -> ApiCall:
    parameters: dict[str, Any] = {
        "AvailabilityZone.$": "$.plan.availabilityZone",
        "Size.$": "$.plan.volume.sizeGib",
        "VolumeType": "gp3",
        "Iops": settings.volume_iops,
        "Throughput": settings.volume_throughput_mibs,
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


def _attached_here(state: str) -> sfn.Condition:
    attachment = "$.seen.volume.Attachments[0]"
    return sfn.Condition.and_(
        sfn.Condition.is_present(f"{attachment}.State"),
        sfn.Condition.string_equals(f"{attachment}.State", state),
        sfn.Condition.string_equals_json_path(f"{attachment}.InstanceId", "$.instanceId"),
    )


def _say(scope: Construct, name: str, error: str, what: str) -> sfn.Pass:
    cause = (
        f"States.Format('Volume {{}} {what} within {CREATE_SECONDS} s. "
        "Look at it and at {} in EC2, then run this again.', "
        "$.volume.volumeId, $.instanceId)"
    )
    return note(scope, name, {"Error": error, "Cause.$": cause}, keep_as="$.failure")
