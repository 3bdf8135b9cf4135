"""CollectVmcore: uploads and verifies the vmcore of a crashed instance, and decides a verdict.

On request it first sends the interrupt.

Every path ends in "Conclude incident". `$.facts` collects that state's input; unknown facts are absent.
"""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.analyze.machine import started_automatically
from infra.collect import await_rescue, parked_volume
from infra.collect.await_rescue import AwaitRescue
from infra.collect.find_detached_volume import FindDetachedVolume
from infra.collect.functions import CollectFunctions
from infra.collect.parked_volume import (
    ATTEMPTS,
    IS_PARKED,
    PAUSE_SECONDS,
    BringParkedVolume,
    MountParkedVolume,
    PutParkedVolumeAway,
)
from infra.collect.watch_dump import START_SECONDS, Exits, WatchDump
from infra.conclude.states import ConcludeIncident, Endings, start_analysis_statements
from infra.conclude.without_function import conclude_statements
from infra.foundation import grants
from infra.parts import INCIDENT, INSTANCE, Parts
from infra.provision.dump_volume import CREATE_SECONDS, DETACH_SECONDS
from infra.provision.mark_ready import mark_instance_ready
from infra.provision.park_dump_volume import DOCUMENT
from infra.rescue import machine as rescue_vmcore
from infra.respond.gate import PROBE
from infra.settings import Settings
from infra.states import state_machine as workflow
from infra.states.run_document import DELIVERY_SECONDS, SHORT_MAX_POLLS, Command, Paths, RunDocument
from infra.states.state_machine import Workflow, connect
from infra.states.tasks import ApiCall, FunctionCall, set_fields, task, task_without_retry
from infra.upload.states import UPLOAD_ROUNDS, Reader, UploadVmcore
from lambdas.incident.record import CRASHED, Verdict
from lambdas.runtime.errors import VmcoreNotFound

NAME = "CollectVmcore"
_FAILURE = "$.facts.error"


class CollectVmcore(Construct):
    """The state machine and its functions."""

    def __init__(self, scope: Construct, *, parts: Parts, settings: Settings) -> None:
        super().__init__(scope, NAME)
        self._parts = parts
        self._settings = settings
        self.functions = CollectFunctions(self, parts=parts, settings=settings)
        self.state_machine = workflow.state_machine(
            self,
            NAME,
            workflow=Workflow(
                first=self._states(),
                statements=self._statements(),
                timeout_seconds=self._timeout_seconds(),
                comment="Collect the vmcore of one crash",
                acknowledged={
                    grants.wildcard("ec2:instance/*"): grants.ANY_INSTANCE,
                    **grants.any_key_acknowledged(),
                    grants.wildcard("ec2:volume/*"): grants.ANY_INSTANCE,
                    grants.ANY_SNAPSHOT: grants.ANY_INSTANCE,
                    grants.wildcard(await_rescue.OWN_EXECUTIONS): await_rescue.EXECUTIONS_REASON,
                },
            ),
            settings=settings,
        )

    def _states(self) -> sfn.State:
        conclude = self._return_from_standby(self._conclude())
        note_request = set_fields(
            self,
            "Note the request",
            {"facts": {"executionName.$": "$$.Execution.Name", "input.$": "$"}},
            result_path="$",
        )
        payload = {
            "input.$": "$.facts.input",
            "executionId.$": "$$.Execution.Id",
            "executionName.$": "$$.Execution.Name",
            "startTime.$": "$$.Execution.StartTime",
        }
        open_incident = task(
            self, "Open incident", FunctionCall(self.functions.open_incident, payload), result_path="$.facts.incident"
        )
        open_incident.add_catch(conclude, errors=["States.ALL"], result_path=_FAILURE)
        rescue = self._rescue(conclude)
        fetch = self._fetch(rescue, conclude)
        watch = WatchDump(
            self,
            "Watch the dump",
            functions=self.functions,
            settings=self._settings,
            exits=Exits(fetch=fetch, rescue=rescue, conclude=conclude),
        ).start_state
        is_expected = sfn.Choice(self, "Is a crash expected?")
        is_expected.when(sfn.Condition.boolean_equals("$.facts.incident.isCrashExpected", True), watch).otherwise(fetch)
        bring = BringParkedVolume(
            self,
            "Create parked volume",
            plan=self.functions.plan_parked_volume,
            parts=self._parts,
            settings=self._settings,
            then=is_expected,
        ).start_state
        interrupt = self._interrupt(bring, conclude)
        requested = sfn.Choice(self, "Is an interrupt requested?")
        requested.when(sfn.Condition.boolean_equals("$.facts.incident.interruptRequested", True), interrupt)
        requested.otherwise(bring)
        connect(note_request, open_incident, requested)
        return note_request

    def _interrupt(self, crashed: sfn.State, conclude: sfn.State) -> sfn.State:
        call = FunctionCall(
            self.functions.send_diagnostic_interrupt,
            {"incidentId.$": INCIDENT, "instanceId.$": INSTANCE},
        )
        interrupt = task_without_retry(
            self,
            "Send diagnostic interrupt",
            call,
            result_path="$.interrupt",
            comment="No retry: a failed call may have sent it, and a second NMI kills the dump that the first started",
        )
        interrupt.add_catch(
            self._after_failed_call(crashed, conclude), errors=["States.ALL"], result_path="$.sendFailure"
        )
        decided = sfn.Choice(self, "Was it sent?")
        # The vmcore of a panic by itself can be older than this execution.
        since = sfn.Pass(
            self,
            "Note since when a vmcore counts",
            input_path="$.interrupt.since",
            result_path="$.facts.incident.since",
        )
        decided.when(sfn.Condition.string_equals("$.interrupt.decision", "interrupt"), since)
        reason = sfn.Pass(
            self, "Note why it was not sent", input_path="$.interrupt.reason", result_path="$.facts.reason"
        )
        refused = sfn.Pass(
            self, "Note the refusal", result=sfn.Result.from_string("refused"), result_path="$.facts.verdict"
        )
        connect(interrupt, decided.otherwise(reason))
        connect(reason, refused, conclude)
        connect(since, crashed)
        return interrupt

    def _after_failed_call(self, crashed: sfn.State, conclude: sfn.State) -> sfn.State:
        """After a failed call: watches for a dump if the record says that the interrupt may have been sent."""
        key = {"pk": {"S.$": "States.Format('incident#{}', $.facts.incident.incidentId)"}}
        parameters = {
            "TableName": self._parts.incidents.table.table_name,
            "Key": key,
            "ConsistentRead": True,
            # A ResultSelector would end the execution if the record is gone.
            "ProjectionExpression": "#state",
            "ExpressionAttributeNames": {"#state": "state"},
        }
        read = task(
            self, "Read whether it was sent", ApiCall("dynamodb", "getItem", parameters), result_path="$.record"
        )
        read.add_catch(conclude, errors=["States.ALL"], result_path=_FAILURE)
        unsent = sfn.Pass(self, "Note why it failed", input_path="$.sendFailure", result_path=_FAILURE)
        was_sent = sfn.Choice(self, "May it have been sent?")
        state = "$.record.Item.state.S"
        is_crashed = sfn.Condition.or_(*(sfn.Condition.string_equals(state, each.value) for each in CRASHED))
        was_sent.when(sfn.Condition.and_(sfn.Condition.is_present(state), is_crashed), crashed).otherwise(unsent)
        connect(read, was_sent)
        connect(unsent, conclude)
        return read

    def _rescue(self, conclude: sfn.State) -> sfn.State:
        """Where to go if the instance does not come back: the rescue, or the conclusion if rescues are off."""
        if not self._settings.rescue:
            return conclude
        return AwaitRescue(self, "Start rescue", settings=self._settings, conclude=conclude).start_state

    def _fetch(self, rescue: sfn.State, conclude: sfn.State) -> sfn.State:
        """The states from finding the vmcore to removing it; returns the first one."""
        functions = self.functions.upload
        find = self._document(
            "Find vmcore",
            {"action": ["find"], "since.$": "States.Array($.facts.incident.since)"},
            Paths(INSTANCE, "$.facts.found", _FAILURE, incident_id=INCIDENT),
        )
        put_away = PutParkedVolumeAway(
            self,
            "Put parked volume away",
            plan=self.functions.plan_parked_volume,
            parts=self._parts,
            settings=self._settings,
            then=self._check_again(conclude),
        ).start_state
        without = sfn.Choice(self, "Was it parked?").when(IS_PARKED, put_away)
        find.on_failure(without, errors=[VmcoreNotFound.__name__]).on_failure(conclude)
        if self._settings.rescue:
            detached = FindDetachedVolume(self, "Look for a detached volume", rescue=rescue, conclude=conclude)
            without.otherwise(detached.start_state)
        else:
            without.otherwise(conclude)
        upload = UploadVmcore(
            self,
            "Upload vmcore",
            functions=functions,
            settings=self._settings,
            reader=Reader(self._parts.runner, INSTANCE, self._settings.mount_point, rerun_workflow=NAME),
            then=conclude,
        )
        payload = {"incident.$": "$.facts.incident", "found.$": "$.facts.found", "upload.$": "$.upload"}
        verify = task(
            self, "Verify vmcore", FunctionCall(functions.verify_vmcore, payload), result_path="$.facts.verified"
        )
        verify.add_catch(conclude, errors=["States.ALL"], result_path=_FAILURE)
        payload = {"incident.$": "$.facts.incident"}
        # "Open vmcore" comes before "Remove vmcore": a vmcore that does not open stays on the instance.
        opening = task(self, "Open vmcore", FunctionCall(functions.open_vmcore, payload), result_path="$.facts.opened")
        opening.add_catch(conclude, errors=["States.ALL"], result_path=_FAILURE)
        remove = self._document(
            "Remove vmcore",
            {
                "action": ["remove"],
                "vmcorePath.$": "States.Array($.upload.vmcorePath)",
                "sizeBytes.$": "States.Array(States.JsonToString($.upload.sizeBytes))",
                "modifiedEpoch.$": "States.Array(States.JsonToString($.upload.modifiedEpoch))",
            },
            Paths(INSTANCE, "$.removed", _FAILURE, incident_id=INCIDENT),
        ).on_failure(conclude)
        # For an incomplete vmcore only its dmesg is uploaded.
        is_complete = sfn.Choice(self, "Is the vmcore complete?")
        is_complete.when(sfn.Condition.string_equals("$.facts.found.status", "complete"), verify).otherwise(conclude)
        connect(find, upload, is_complete)
        connect(verify, opening, remove, put_away)
        return MountParkedVolume(
            self,
            "Mount parked volume",
            parts=self._parts,
            settings=self._settings,
            then=find.start_state,
            on_failure=conclude,
        ).start_state

    def _check_again(self, conclude: sfn.State) -> sfn.State:
        """The states that mark the instance ready after its dump; they change no verdict."""
        failure = "$.facts.unchecked"
        # Wherever its own settings have the dump volume.
        command = Command("check_kdump", {"mountPoint": ["found"]}, self._settings.document_timeout_seconds)
        paths = Paths(INSTANCE, "$.facts.kdump", failure, incident_id=INCIDENT)
        check = RunDocument(
            self, "Check kdump again", runner=self._parts.runner, command=command, paths=paths
        ).on_failure(conclude)
        mark = mark_instance_ready(self, "Mark instance ready again", instance_id=INSTANCE, kdump="$.facts.kdump")
        mark.add_catch(conclude, errors=["States.ALL"], result_path=failure)
        is_ready = sfn.Choice(self, "Is it ready again?")
        is_ready.when(sfn.Condition.boolean_equals("$.facts.kdump.ready", True), mark).otherwise(conclude)
        connect(check, is_ready)
        connect(mark, conclude)
        return check.start_state

    def _document(self, title: str, parameters: dict[str, Any], paths: Paths) -> RunDocument:
        command = Command(
            "upload_vmcore",
            {"mountPoint": [self._settings.mount_point], **parameters},
            self._settings.document_timeout_seconds,
            SHORT_MAX_POLLS,
        )
        return RunDocument(self, title, runner=self._parts.runner, command=command, paths=paths)

    def _return_from_standby(self, conclude: sfn.State) -> sfn.State:
        """Runs before every conclusion. If it fails, the next sweep reports the instance that is left in Standby."""
        call = FunctionCall(self.functions.return_from_standby, input_path="$.facts")
        back = task(self, "Return from standby", call, result_path="$.standby")
        back.add_catch(conclude, errors=["States.ALL"], result_path="$.standby")
        connect(back, conclude)
        return back

    def _conclude(self) -> sfn.State:
        rescued = {Verdict.RESCUED: "Rescued"} if self._settings.rescue else {}
        return ConcludeIncident(
            self,
            "Conclude incident",
            function=self.functions.conclude_incident,
            incidents=self._parts.incidents,
            endings=Endings(
                Verdict.CAPTURED,
                {Verdict.CAPTURED: "Captured", **rescued},
                # A rescue starts its own.
                analyze=started_automatically(cdk.Stack.of(self), self._settings),
            ),
        ).start_state

    def _statements(self) -> list[iam.PolicyStatement]:
        return [
            *self._parts.runner.statements(self, ["upload_vmcore", "check_kdump", DOCUMENT, PROBE]),
            *parked_volume.statements(cdk.Stack.of(self), self._parts),
            grants.mark_ready(cdk.Stack.of(self)),
            grants.invoke(*self.functions.all()),
            *conclude_statements(self._parts.incidents),
            *start_analysis_statements(started_automatically(cdk.Stack.of(self), self._settings)),
            grants.read_incidents(self._parts.incidents.table),
            *grants.start_instances(cdk.Stack.of(self)),
            *(await_rescue.statements(cdk.Stack.of(self)) if self._settings.rescue else ()),
        ]

    def _timeout_seconds(self) -> int:
        settings = self._settings
        # Runs of upload_vmcore: one to find, one per upload round, one to remove.
        documents = (2 + UPLOAD_ROUNDS) * (settings.upload_timeout_seconds + DELIVERY_SECONDS)
        check = settings.document_timeout_seconds + DELIVERY_SECONDS
        # To bring the volume, to mount it, and to put it away.
        parked = ATTEMPTS * (2 * CREATE_SECONDS + PAUSE_SECONDS) + 3 * check + DETACH_SECONDS
        rescue = rescue_vmcore.longest_seconds(settings) if settings.rescue else 0
        # Only a backstop: each loop's own limit ends it first. The factor 2 allows for slow polls, the hour for other
        # calls.
        return 2 * (settings.dump_limit_seconds + START_SECONDS + documents + check + parked + rescue) + 3600
