"""The parts of CollectVmcore for an instance whose dump volume is parked: bring the volume, mount it, put it away."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation import grants
from infra.foundation.functions import Function
from infra.parts import INCIDENT, INSTANCE, Parts
from infra.provision.dump_volume import AttachDumpVolume, CreateDumpVolume, parked_volume
from infra.provision.park_dump_volume import DOCUMENT, RemoveParkedVolume, park_command
from infra.settings import Settings
from infra.states.run_document import SHORT_MAX_POLLS, Command, Paths, RunDocument
from infra.states.tasks import ClosedFragment, FunctionCall, name_error, set_fields, task
from lambdas.runtime.errors import DetachmentLate

# Wherever the settings of the instance have it.
_MOUNT_POINT = ["found"]
_PARKED = "$.facts.incident.isParked"
IS_PARKED = sfn.Condition.and_(sfn.Condition.is_present(_PARKED), sfn.Condition.boolean_equals(_PARKED, True))
_IS_EXPECTED = sfn.Condition.boolean_equals("$.facts.incident.isCrashExpected", True)
# Together some minutes, without the time of the attempts.
ATTEMPTS, PAUSE_SECONDS = 6, 30
_HAS_VOLUME = sfn.Condition.is_present("$.volume.volumeId")


class BringParkedVolume(ClosedFragment):
    """Attach a volume made from the parked one to an instance that crashed; leads to `then` in any case.

    A failure is tried again while the crash kernel waits: capacity comes back, and a volume that is just being parked
    goes. Why it is not attached in the end is at `$.facts.unattached`.
    """

    def __init__(
        self, scope: Construct, title: str, *, plan: Function, parts: Parts, settings: Settings, then: sfn.IChainable
    ) -> None:
        super().__init__(scope, f"{title} states")
        # The states of ProvisionDumpVolume expect it there.
        instance = sfn.Pass(self, "Note the instance", input_path=INSTANCE, result_path="$.instanceId")
        first = set_fields(self, "Begin with the first attempt", {"attempts": 1}, result_path="$.bringing")
        planned = task(self, "Plan parked volume", _plan(plan), result_path="$.plan")
        failed = sfn.Pass(self, "Note why it is not attached", input_path="$.failure", result_path="$.facts.unattached")
        may_try = sfn.Choice(self, "May it be tried again?")
        again = set_fields(
            self,
            "Count the attempt",
            {"attempts.$": "States.MathAdd($.bringing.attempts, 1)"},
            result_path="$.bringing",
        )
        pause = sfn.Wait(
            self, "Pause before the next attempt", time=sfn.WaitTime.duration(cdk.Duration.seconds(PAUSE_SECONDS))
        )
        may_try.when(sfn.Condition.number_greater_than_equals("$.bringing.attempts", ATTEMPTS), then)
        may_try.when(sfn.Condition.not_(_IS_EXPECTED), then)
        may_try.otherwise(again)
        failed.next(may_try)
        again.next(pause).next(planned)
        planned.add_catch(failed, errors=["States.ALL"], result_path="$.failure")
        create = CreateDumpVolume(
            self,
            title,
            volume=parked_volume(settings),
            table=parts.incidents.table,
            settings=settings,
            on_failure=failed,
        )
        attach = AttachDumpVolume(self, "Attach parked volume", settings=settings, on_failure=failed)
        found = {"volumeId.$": "$.plan.volume.volumeId"}
        use_free = set_fields(self, "Use the free volume", found, result_path="$.volume")
        use_attached = set_fields(self, "Use the attached volume", found, result_path="$.volume")
        action = "$.plan.volume.action"
        choose = sfn.Choice(self, "Choose parked volume")
        choose.when(sfn.Condition.string_equals(action, "reuse"), use_attached)
        choose.when(sfn.Condition.string_equals(action, "attach"), use_free)
        # A fetch looks only for what is there.
        choose.when(_IS_EXPECTED, create.start_state).otherwise(then)
        is_attached = sfn.Pass(
            self, "Forget the attempts before", result=sfn.Result.from_object({}), result_path="$.facts.unattached"
        )
        is_attached.next(then)
        instance.next(first).next(planned).next(choose)
        use_attached.next(is_attached)
        use_free.next(create.wait_state)
        for fragment, following in ((create, attach.start_state), (attach, is_attached)):
            for end in fragment.end_states:
                end.next(following)
        self._start = sfn.Choice(self, "Is its dump volume parked?").when(IS_PARKED, instance).otherwise(then)


class MountParkedVolume(ClosedFragment):
    """Mount the volume on the instance that came back, if there is one; leads to `then`."""

    def __init__(
        self,
        scope: Construct,
        title: str,
        *,
        parts: Parts,
        settings: Settings,
        then: sfn.IChainable,
        on_failure: sfn.State,
    ) -> None:
        super().__init__(scope, f"{title}, if any")
        parameters = {"action": ["mount"], "mountPoint": _MOUNT_POINT, "volumeId.$": _volume_id()}
        mount = RunDocument(
            self,
            title,
            runner=parts.runner,
            command=Command(DOCUMENT, parameters, settings.document_timeout_seconds, SHORT_MAX_POLLS),
            paths=Paths(INSTANCE, "$.mounted", "$.facts.error", incident_id=INCIDENT),
        ).on_failure(on_failure)
        for end in mount.end_states:
            end.next(then)
        self._start = sfn.Choice(self, "Is there a volume to mount?")
        self._start.when(_HAS_VOLUME, mount.start_state).otherwise(then)


class PutParkedVolumeAway(ClosedFragment):
    """Delete the volume once the host has seen that it is empty, if there is one; leads to `then` in any case.

    It stays if its instance is no longer parked as it was, or waits for another file system than the snapshot's. Why
    is at `$.facts.unparked`.
    """

    def __init__(
        self, scope: Construct, title: str, *, plan: Function, parts: Parts, settings: Settings, then: sfn.IChainable
    ) -> None:
        super().__init__(scope, f"{title}, if any")
        failure = "$.facts.unparked"
        # The upload has taken its time: somebody may have had the volume attached for good.
        again = task(self, "See whether it is still parked", _plan(plan), result_path="$.again")
        again.add_catch(then, errors=["States.ALL"], result_path=failure)
        command = park_command(settings, mount_point=f"States.Array('{_MOUNT_POINT[0]}')", volume_id=_volume_id())
        park = RunDocument(
            self,
            "Park dump volume again",
            runner=parts.runner,
            command=command,
            paths=Paths(INSTANCE, "$.parked", failure, incident_id=INCIDENT),
        ).on_failure(then)
        left = name_error(
            self,
            "Say that the volume is left",
            DetachmentLate,
            "'{} stays at {}: it was not detached, or there may be a dump on it, or it is not parked as before. Run "
            "ProvisionDumpVolume for the instance.', $.volume.volumeId, $.facts.incident.instanceId",
            result_path=failure,
        )
        left.next(then)
        remove = RemoveParkedVolume(self, "the volume", parts=parts, settings=settings, then=then, left=left)
        same = sfn.Condition.string_equals_json_path
        is_parked = sfn.Choice(self, "Is it parked as before?")
        is_parked.when(same("$.again.snapshotId", "$.plan.snapshotId"), park.start_state).otherwise(left)
        is_right = sfn.Choice(self, "Is it the file system of the snapshot?")
        is_right.when(same("$.parked.uuid", "$.again.uuid"), remove.start_state).otherwise(left)
        again.next(is_parked)
        for end in park.end_states:
            end.next(is_right)
        self._start = sfn.Choice(self, "Is there a volume to put away?")
        self._start.when(_HAS_VOLUME, again).otherwise(then)


def _plan(function: Function) -> FunctionCall:
    return FunctionCall(function, {"incidentId.$": INCIDENT, "instanceId.$": INSTANCE})


def _volume_id() -> str:
    return "States.Array($.volume.volumeId)"


def statements(stack: cdk.Stack, parts: Parts) -> list[iam.PolicyStatement]:
    """Make volumes from parked ones, attach them to enrolled instances, delete them again."""
    return [
        *grants.provision_volumes(stack),
        grants.volumes_from_parked(stack),
        grants.use_keys_of_volumes(stack, "kms:ReEncryptFrom", "kms:ReEncryptTo"),
        grants.record_dump_volumes(parts.incidents.table),
    ]
