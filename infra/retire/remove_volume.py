"""The steps that detach the dump volume of a retired instance, and delete it only if the host saw that it is empty."""

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.settings import Settings
from infra.states.poll import Poll, polling
from infra.states.tasks import ApiCall, name_error, set_fields, task
from lambdas.runtime.errors import DetachmentLate

# The host has unmounted it: EC2 takes seconds.
DETACH_SECONDS = 300
# InvalidVolume.NotFound, of which Step Functions gives the message alone.
_DOES_NOT_EXIST = "*does not exist*"
_VOLUME = "$.plan.volume.volumeId"


class RemoveDumpVolume(sfn.StateMachineFragment):
    """Detach `$.plan.volume` and delete or keep it; sets `$.volume`, and leaves it as it is without one."""

    def __init__(self, scope: Construct, title: str, *, settings: Settings, on_failure: sfn.State) -> None:
        super().__init__(scope, f"{title} states")
        state = ApiCall(
            "ec2",
            "describeVolumes",
            {"VolumeIds.$": f"States.Array({_VOLUME})"},
            {"volume.$": "$.Volumes[0]"},
        )
        check = task(self, "Look at dump volume", state, result_path="$.seen")
        check_again = task(self, "Look again at dump volume", state, result_path="$.seen")
        detach = task(
            self,
            "Detach dump volume",
            ApiCall(
                "ec2",
                "detachVolume",
                {"VolumeId.$": _VOLUME, "InstanceId.$": "$.instanceId"},
            ),
        )
        delete = task(
            self, "Delete empty dump volume", ApiCall("ec2", "deleteVolume", {"VolumeId.$": "$.plan.volume.volumeId"})
        )
        deleted = set_fields(
            self,
            "Note the deletion",
            {"volumeId.$": _VOLUME, "action": "deleted", "reason": "the host saw that it is empty"},
            result_path="$.volume",
        )
        kept = set_fields(
            self,
            "Keep the dump volume",
            {
                "volumeId.$": _VOLUME,
                "action": "kept",
                "reason.$": "States.Format('the host did not see that it is empty; it saw: {}', "
                "States.JsonToString($.host.files))",
            },
            result_path="$.volume",
        )
        late = name_error(
            self,
            "Say that the detachment is late",
            DetachmentLate,
            f"'{{}} was not detached from {{}} within {DETACH_SECONDS} s. Its kdump is undone. Look at the volume in "
            f"EC2, then retire the instance again.', {_VOLUME}, $.instanceId",
            result_path="$.failure",
        )
        late.next(on_failure)
        wait = Poll(
            self,
            "Wait for detachment",
            check=check_again,
            polling=polling(DETACH_SECONDS, settings.poll_seconds, max_polls=60),
        )
        in_use = sfn.Condition.string_equals("$.seen.volume.State", "in-use")
        is_empty = sfn.Choice(self, "Did the host see that it is empty?")
        is_empty.when(sfn.Condition.boolean_equals("$.host.volumeEmpty", True), delete).otherwise(kept)
        is_attached = sfn.Choice(self, "Is dump volume attached?")
        check.next(is_attached.when(in_use, detach).otherwise(is_empty))
        detach.next(wait.start_state)
        wait.ends_when(sfn.Condition.not_(in_use), is_empty).gives_up(late)
        is_gone = sfn.Choice(self, "Has dump volume disappeared?")
        is_gone.when(sfn.Condition.string_matches("$.failure.Cause", _DOES_NOT_EXIST), deleted).otherwise(on_failure)
        delete.add_catch(is_gone, errors=["Ec2.Ec2Exception"], result_path="$.failure")
        for each in (check, detach, check_again, delete):
            each.add_catch(on_failure, errors=["States.ALL"], result_path="$.failure")
        delete.next(deleted)
        self._none = sfn.Pass(self, "Leave no dump volume")
        self._start = sfn.Choice(self, "Is there a dump volume?")
        self._start.when(sfn.Condition.string_equals("$.plan.volume.volumeId", ""), self._none).otherwise(check)
        self._ends = [deleted, kept, self._none]

    @property
    def start_state(self) -> sfn.State:
        """The question whether there is one."""
        return self._start

    @property
    def end_states(self) -> list[sfn.INextable]:
        """It is deleted, kept, or there was none."""
        return list(self._ends)
