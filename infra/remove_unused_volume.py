"""What a failed provisioning leaves behind: a dump volume that this execution created and never put to use is removed.

A volume that prepare_dump_volume has accepted, or that was there before, may hold a dump and is never touched.
"""

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.settings import Settings
from infra.states.poll import Poll, polling
from infra.states.tasks import ApiCall, ClosedFragment, note, task

# A guest that has the volume mounted keeps it "busy"; then it stays, tagged, and the next run uses it.
DETACH_SECONDS = 120


class RemoveUnusedVolume(ClosedFragment):
    """Remove the volume at `$.volume` if it is removeOnFailure, then go on to `then`, whatever came of it."""

    def __init__(self, scope: Construct, title: str, *, settings: Settings, then: sfn.IChainable) -> None:
        super().__init__(scope, f"{title} states")
        attached_here = {"VolumeId.$": "$.volume.volumeId", "InstanceId.$": "$.instanceId"}
        detach = task(self, "Detach unused dump volume", ApiCall("ec2", "detachVolume", attached_here))
        state = ApiCall(
            "ec2",
            "describeVolumes",
            {"VolumeIds.$": "States.Array($.volume.volumeId)"},
            {"volume.$": "$.Volumes[0]"},
        )
        look = task(self, "Look at unused dump volume", state, keep_as="$.unused")
        look_again = task(self, "Look again at unused dump volume", state, keep_as="$.unused")
        delete = task(self, title, ApiCall("ec2", "deleteVolume", {"VolumeId.$": "$.volume.volumeId"}))
        left = note(
            self,
            "Say that the volume was left",
            {
                "Error.$": "$.failure.Error",
                "Cause.$": "States.Format('{} (The new volume {} could not be removed. It is tagged, and the next run "
                "uses it.)', $.failure.Cause, $.volume.volumeId)",
            },
            keep_as="$.failure",
        )
        wait = Poll(
            self,
            "Wait for detachment",
            look=look_again,
            polling=polling(DETACH_SECONDS, settings.poll_seconds, at_most=60),
        )
        in_use = sfn.Condition.string_equals("$.unused.volume.State", "in-use")
        is_attached = sfn.Choice(self, "Is unused dump volume attached?")
        look.next(is_attached.when(in_use, detach).otherwise(delete))
        detach.next(wait.start_state)
        wait.ends_when(sfn.Condition.not_(in_use), delete).gives_up(left)
        for each in (look, detach, look_again, delete):
            each.add_catch(left, errors=["States.ALL"], result_path="$.unused")
        delete.next(then)
        left.next(then)
        self._start = sfn.Choice(self, "Is there an unused dump volume?")
        unused = sfn.Condition.and_(
            sfn.Condition.is_present("$.volume.removeOnFailure"),
            sfn.Condition.boolean_equals("$.volume.removeOnFailure", True),
        )
        self._start.when(unused, look).otherwise(then)
