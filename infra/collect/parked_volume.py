"""The parts of CollectVmcore for an instance whose dump volume is parked: bring the volume, mount it, put it away."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation import grants
from infra.foundation.functions import Function
from infra.parts import INCIDENT, INSTANCE, Parts
from infra.provision.dump_volume import AttachDumpVolume, CreateDumpVolume, RemoveVolume, parked_volume
from infra.provision.park_dump_volume import DOCUMENT, SHORT_MAX_POLLS, park_command
from infra.settings import Settings
from infra.states.run_document import Command, Paths, RunDocument
from infra.states.tasks import ClosedFragment, FunctionCall, name_error, set_fields, task
from lambdas.runtime.errors import DetachmentLate

# Wherever the settings of the instance have it.
_MOUNT_POINT = ["found"]
_PARKED = "$.facts.incident.isParked"
IS_PARKED = sfn.Condition.and_(sfn.Condition.is_present(_PARKED), sfn.Condition.boolean_equals(_PARKED, True))
_HAS_VOLUME = sfn.Condition.is_present("$.volume.volumeId")


class BringParkedVolume(ClosedFragment):
    """Attach a volume made from the parked one to an instance that crashed; leads to `then` in any case.

    Why it is not attached is at `$.facts.unattached`.
    """

    def __init__(
        self, scope: Construct, title: str, *, plan: Function, parts: Parts, settings: Settings, then: sfn.IChainable
    ) -> None:
        super().__init__(scope, f"{title} states")
        # The states of ProvisionDumpVolume expect it there.
        instance = sfn.Pass(self, "Note the instance", input_path=INSTANCE, result_path="$.instanceId")
        event = {"incidentId.$": INCIDENT, "instanceId.$": INSTANCE}
        planned = task(self, "Plan parked volume", FunctionCall(plan, event), result_path="$.plan")
        failed = sfn.Pass(self, "Note why it is not attached", input_path="$.failure", result_path="$.facts.unattached")
        failed.next(then)
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
        is_expected = sfn.Condition.boolean_equals("$.facts.incident.isCrashExpected", True)
        choose.when(is_expected, create.start_state).otherwise(then)
        instance.next(planned).next(choose)
        use_attached.next(then)
        use_free.next(create.wait_state)
        for fragment, following in ((create, attach.start_state), (attach, then)):
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

    Also if it waits for another file system than that of the snapshot, the volume stays, and why is at
    `$.facts.unparked`.
    """

    def __init__(self, scope: Construct, title: str, *, parts: Parts, settings: Settings, then: sfn.IChainable) -> None:
        super().__init__(scope, f"{title}, if any")
        failure = "$.facts.unparked"
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
            "'{} could not be detached from {} and deleted: run ProvisionDumpVolume for it.', "
            "$.volume.volumeId, $.facts.incident.instanceId",
            result_path=failure,
        )
        left.next(then)
        remove = RemoveVolume(self, title, called="the volume", settings=settings, then=then, left=left)
        is_empty = sfn.Choice(self, "Has the host seen that it is empty?")
        may_go = sfn.Condition.and_(
            sfn.Condition.boolean_equals("$.parked.volumeEmpty", True),
            sfn.Condition.string_equals_json_path("$.parked.uuid", "$.plan.uuid"),
        )
        is_empty.when(may_go, remove.start_state).otherwise(left)
        for end in park.end_states:
            end.next(is_empty)
        self._start = sfn.Choice(self, "Is there a volume to put away?")
        self._start.when(_HAS_VOLUME, park.start_state).otherwise(then)


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
