"""The steps on a rescue instance: mount the copy, find the vmcore of the crash, upload it, verify it, open it."""

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.parts import INCIDENT
from infra.settings import Settings
from infra.states.run_document import SHORT_MAX_POLLS, Command, DocumentRunner, Paths, RunDocument
from infra.states.state_machine import connect
from infra.states.tasks import ApiCall, ClosedFragment, FunctionCall, name_error, set_fields, task
from infra.upload.functions import UploadFunctions
from infra.upload.states import Reader, UploadVmcore
from lambdas.runtime.errors import DumpVolumeCopyMissing

DEVICE = "/dev/sdf"
MOUNT_POINT = "/mnt/hangdump-rescue"
_FAILURE = "$.facts.error"
_COLLECTOR = "$.collector.instanceId"
_COPY = "$.disk.volumes[0].VolumeId"


class ReadDumpCopy(ClosedFragment):
    """Works on the instance at `$.collector` with a copy of the snapshot at `$.copy`; leads to `then` in any case."""

    def __init__(
        self,
        scope: Construct,
        title: str,
        *,
        runner: DocumentRunner,
        uploads: UploadFunctions,
        settings: Settings,
        then: sfn.IChainable,
    ) -> None:
        super().__init__(scope, f"{title} states")
        self._runner = runner
        self._settings = settings
        self._then = then
        check = task(self, "Look for the copy", _copy(), result_path="$.disk")
        check.add_catch(then, errors=["States.ALL"], result_path=_FAILURE)
        lost = name_error(
            self,
            "Say that the copy is not attached",
            DumpVolumeCopyMissing,
            f"'{{}} runs without a volume at {DEVICE}.', {_COLLECTOR}",
            result_path=_FAILURE,
        )
        lost.next(then)
        way = set_fields(
            self,
            "Note the way",
            {
                "volumeId.$": "$.plan.volumeId",
                "snapshotId.$": "$.copy.snapshotId",
                "copyId.$": _COPY,
                "collectorId.$": _COLLECTOR,
            },
            result_path="$.facts.rescue",
        )
        is_there = sfn.Choice(self, "Is the copy attached?")
        check.next(is_there.when(sfn.Condition.is_present(_COPY), way).otherwise(lost))
        mount = self._run("Mount the copy", "mount_dump_copy", {"volumeId.$": f"States.Array({_COPY})"}, "$.mounted")
        note = set_fields(
            self,
            "Note what is on the copy",
            {
                "isEmpty.$": "$.mounted.volumeEmpty",
                "mountPoint.$": "$.mounted.mountPoint",
                "fileCount.$": "$.mounted.fileCount",
                "files.$": "$.mounted.files",
            },
            result_path="$.facts.copy",
        )
        since = "States.Array($.facts.incident.since)"
        find = self._run("Find vmcore", "upload_vmcore", {"action": ["find"], "since.$": since}, "$.seen")
        # Drop the kernel and the boot: they are the rescue instance's.
        kept = {f"{name}.$": f"$.seen.{name}" for name in ("status", "vmcore", "dmesg", "memoryBytes")}
        take = set_fields(self, "Take what is of the dump", kept, result_path="$.facts.found")
        reader = Reader(runner, _COLLECTOR, MOUNT_POINT, rerun_workflow="RescueVmcore")
        upload = UploadVmcore(self, "Upload vmcore", functions=uploads, settings=settings, reader=reader, then=then)
        facts = {"incident.$": "$.facts.incident", "found.$": "$.facts.found", "rescue.$": "$.facts.rescue"}
        call = FunctionCall(uploads.verify_vmcore, facts | {"upload.$": "$.upload"})
        verify = task(self, "Verify vmcore", call, result_path="$.facts.verified")
        facts = {"incident.$": "$.facts.incident"}
        opening = task(self, "Open vmcore", FunctionCall(uploads.open_vmcore, facts), result_path="$.facts.opened")
        for each in (verify, opening):
            each.add_catch(then, errors=["States.ALL"], result_path=_FAILURE)
        # For an incomplete vmcore only its dmesg is uploaded.
        is_complete = sfn.Choice(self, "Is the vmcore complete?")
        is_complete.when(sfn.Condition.string_equals("$.facts.found.status", "complete"), verify).otherwise(then)
        connect(way, mount, note, find, take, upload, is_complete)
        connect(verify, opening)
        opening.next(then)
        self._start = check

    def _run(self, title: str, verb_phrase: str, parameters: dict[str, object], result: str) -> RunDocument:
        given = {"mountPoint": [MOUNT_POINT], **parameters}
        command = Command(verb_phrase, given, self._settings.document_timeout_seconds, SHORT_MAX_POLLS)
        paths = Paths(_COLLECTOR, result, _FAILURE, incident_id=INCIDENT)
        return RunDocument(self, title, runner=self._runner, command=command, paths=paths).on_failure(self._then)


def _copy() -> ApiCall:
    """Finds the volume that EC2 created at the launch; its id is the serial of the disk."""
    filters = [
        {"Name": "attachment.instance-id", "Values.$": f"States.Array({_COLLECTOR})"},
        {"Name": "attachment.device", "Values": [DEVICE]},
    ]
    return ApiCall("ec2", "describeVolumes", {"Filters": filters}, {"volumes.$": "$.Volumes"})
