"""DrillDump: proves the whole chain in the user's own account by crashing a throwaway twin of an instance.

It launches the twin, has it provisioned, hangs it, and lets the production chain find, interrupt and collect it. Every
path of an execution that planned a twin leads through "Disarm the twin" to "Conclude the drill".
"""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.drill.functions import NAME, DrillFunctions
from infra.foundation import grants
from infra.foundation.fleet import Fleet
from infra.foundation.functions import Function
from infra.parts import Parts
from infra.provision.machine import ProvisionDumpVolume
from infra.settings import Settings
from infra.short_lived import grants as short_lived_grants
from infra.short_lived.instance import ShortLivedInstance, Wanted, Words
from infra.short_lived.removal import REMOVE_SECONDS, RemoveMade, ShortLived
from infra.states import state_machine as workflow
from infra.states.explain_failure import ExplainFailure
from infra.states.poll import Poll, polling
from infra.states.run_document import DELIVERY_SECONDS, Command, Paths, RunDocument
from infra.states.run_execution import start_execution, watch_execution
from infra.states.state_machine import Workflow, connect
from infra.states.tasks import ApiCall, FunctionCall, name_error, set_fields, task
from lambdas.incident.drill_keys import DRILL_PREFIX, HUNG_AT, TWIN_ID
from lambdas.runtime.errors import (
    DrillLeftovers,
    DrillTwinDied,
    DrillTwinGone,
    DrillTwinLate,
    DrillTwinNotLaunched,
    DrillTwinNotReady,
    DrillTwinSilent,
    DrillUnheard,
    DrillUnproven,
)

_DOCUMENT = "hang_instance"
_DOCUMENT_SECONDS = 120
_FAILURE = "$.failure"
_TWIN = "$.launched.instanceId"
# An alarm needs some minutes, and what it refused for a while it asks again within the hour.
_HEARD_SECONDS = 4500
_WORDS = Words(
    title="twin",
    called="twin",
    died=DrillTwinDied,
    why_died="Somebody ended it, or this state machine may not use the key that encrypts volumes by default or that of "
    "the image: allow its role in the key policy.",
    late=DrillTwinLate,
    silent=DrillTwinSilent,
    why_silent="Its image must start an SSM agent by itself, and its subnet must reach the endpoints ssm and "
    "ssmmessages.",
    not_launched=DrillTwinNotLaunched,
)


class DrillDump(Construct):
    """The state machine and its functions."""

    def __init__(  # noqa: PLR0913 - what it starts and calls
        self,
        scope: Construct,
        *,
        parts: Parts,
        fleet: Fleet,
        short_lived: ShortLived,
        provision: ProvisionDumpVolume,
        collect_vmcore: sfn.StateMachine,
        retire_instance: Function,
        settings: Settings,
    ) -> None:
        super().__init__(scope, NAME)
        self._parts = parts
        self._short_lived = short_lived
        self._provision = provision
        self._collect_vmcore = collect_vmcore
        self._retire_instance = retire_instance
        self._settings = settings
        self._functions = DrillFunctions(self, parts=parts, fleet=fleet, settings=settings)
        children = "Reads how ProvisionDumpVolume goes; it has the name of the drill's execution."
        self.state_machine = workflow.state_machine(
            self,
            NAME,
            workflow=Workflow(
                first=self._states(),
                statements=self._statements(),
                # The loops' limits end every wait first: doubled for the polls, the rest for the calls in between.
                timeout_seconds=2 * self._longest_seconds + 3600,
                comment="Crash a twin of an instance, and prove that its dump comes home",
                acknowledged={
                    **short_lived_grants.acknowledged(image="A twin has the image of the instance that it imitates."),
                    grants.wildcard("states:execution:ProvisionDumpVolume:*"): children,
                },
            ),
            settings=settings,
        )

    @property
    def _watch_seconds(self) -> int:
        # Not as long as a collection of the largest hosts may take: a drill of one of those is watched by nobody else.
        settings = self._settings
        return _HEARD_SECONDS + settings.dump_limit_seconds + 2 * settings.upload_timeout_seconds + 3600

    @property
    def _longest_seconds(self) -> int:
        """The sum of all waits."""
        settings = self._settings
        launch = 2 * settings.rescue_instance_timeout_seconds + self._provision.longest_seconds
        hang = settings.boot_grace_seconds + _DOCUMENT_SECONDS + DELIVERY_SECONDS
        return launch + hang + 2 * self._watch_seconds + REMOVE_SECONDS

    def _states(self) -> sfn.State:
        end = self._end()
        execution = {
            "id.$": "$$.Execution.Id",
            "name.$": "$$.Execution.Name",
            "startedAt.$": "$$.Execution.StartTime",
        }
        request = set_fields(
            self, "Note the request", {"input.$": "$", "execution": execution, "times": {}}, result_path="$"
        )
        payload = {
            "input.$": "$.input",
            "executionId.$": "$.execution.id",
            "executionName.$": "$.execution.name",
            "endsItselfAfterSeconds": self._longest_seconds,
        }
        plan = task(self, "Plan drill", FunctionCall(self._functions.plan_drill, payload), result_path="$.plan")
        record = self._note("Record the twin", TWIN_ID, _TWIN, end)
        online = self._keep_time("Note that the twin is online", "onlineAt")
        wanted = Wanted.planned(
            words=_WORDS,
            profile=self._short_lived.profile,
            failure_path=_FAILURE,
            ends_itself_after_seconds=self._longest_seconds,
            user_data="$.plan.userData",
        )
        launch = ShortLivedInstance(
            self, "Launch twin", wanted=wanted, settings=self._settings, then=record, on_failure=end
        )
        plan.add_catch(end, errors=["States.ALL"], result_path=_FAILURE)
        connect(request, plan, launch.start_state)
        connect(record, online, self._make_ready(self._hang(end), end))
        return request

    def _make_ready(self, then: sfn.State, on_failure: sfn.State) -> sfn.State:
        """The states of the provisioning; they lead to `then` with its outcome at `$.readiness`."""
        given = {"instanceId.$": _TWIN, "reboot": True}
        prepare = set_fields(self, "Name the provisioning", {"input": given}, result_path="$.provisioning")
        start = start_execution(
            self,
            "Provision the twin",
            machine_arn=self._provision.state_machine.state_machine_arn,
            name="$.execution.name",
            given="$.provisioning.input",
            result_path="$.provisioning",
        )
        read = sfn.Pass(
            self,
            "Read how it ended",
            parameters={"outcome.$": "States.StringToJson($.seen.Output)"},
            result_path="$.provisioned",
        )
        keep = set_fields(
            self,
            "Keep the readiness",
            {"status.$": "$.provisioned.outcome.status", "kdump.$": "$.provisioned.outcome.kdump"},
            result_path="$.readiness",
        )
        failed = set_fields(
            self,
            "Take over the error of the provisioning",
            {"Error.$": "$.seen.Error", "Cause.$": "$.seen.Cause"},
            result_path=_FAILURE,
        )
        not_ready = name_error(
            self,
            "Say that the twin is not ready",
            DrillTwinNotReady,
            f"'ProvisionDumpVolume did not make {{}} ready: {{}} is {{}}.', {_TWIN}, $.execution.name, $.seen.Status",
            result_path=_FAILURE,
        )
        how = sfn.Choice(self, "How did the provisioning end?")
        succeeded = sfn.Condition.string_equals("$.seen.Status", "SUCCEEDED")
        has_error = sfn.Condition.and_(
            sfn.Condition.is_present("$.seen.Error"), sfn.Condition.is_present("$.seen.Cause")
        )
        how.when(succeeded, read).when(has_error, failed).otherwise(not_ready)
        is_ready = sfn.Choice(self, "Is the twin ready?")
        ready = sfn.Condition.string_equals("$.provisioned.outcome.status", "ready")
        is_ready.when(ready, keep).otherwise(not_ready)
        watch = watch_execution(
            self,
            "Watch the provisioning",
            look="Look at the provisioning",
            execution_arn="$.provisioning.executionArn",
            result_path="$.seen",
            polling=polling(self._provision.longest_seconds, self._settings.poll_seconds, max_polls=100),
            then=how,
            late=not_ready,
        )
        start.add_catch(on_failure, errors=["States.ALL"], result_path=_FAILURE)
        # Before the first answer of the loop.
        expect = set_fields(self, "Expect its end", {"Status": "RUNNING"}, result_path="$.seen")
        connect(prepare, start, expect, watch)
        read.next(is_ready)
        connect(keep, self._keep_time("Note that the twin is ready", "readyAt"), then)
        for each in (failed, not_ready):
            each.next(on_failure)
        return prepare

    def _hang(self, end: sfn.State) -> sfn.State:
        """The states from the readiness to the end of the chain."""
        # A hang within the grace would be refused first: a drill of the refusal, not of the dump.
        wait = sfn.Wait(
            self,
            "Wait until the boot is old enough",
            time=sfn.WaitTime.duration(cdk.Duration.seconds(self._settings.boot_grace_seconds)),
        )
        note_time = self._keep_time("Note the time of the hang", HUNG_AT)
        # From now on a dump may be on the volume.
        record = self._note("Record the hang", HUNG_AT, f"$.times.{HUNG_AT}", end)
        parameters = {
            "instanceId.$": f"States.Array({_TWIN})",
            "token.$": "States.Array($.plan.clientToken)",
            "hang.$": "States.Array($.plan.hang)",
        }
        hang = RunDocument(
            self,
            "Hang the twin",
            runner=self._parts.runner,
            command=Command(_DOCUMENT, parameters, _DOCUMENT_SECONDS),
            paths=Paths(instance_id=_TWIN, result="$.hanging", failure=_FAILURE),
        ).on_failure(end)
        connect(wait, note_time, record, hang, self._watch(end))
        return wait

    def _watch(self, end: sfn.State) -> sfn.State:
        name_fetch = set_fields(self, "Name the fetch", {"input": {"instanceId.$": _TWIN}}, result_path="$.fetched")
        fetch = start_execution(
            self,
            "Fetch the vmcore",
            machine_arn=self._collect_vmcore.state_machine_arn,
            name="$.execution.name",
            given="$.fetched.input",
            result_path="$.fetched",
            comment="No alarm was heard and the twin is back: what an owner would do after a panic by itself",
        )
        fetch.add_catch(end, errors=["States.ALL"], result_path=_FAILURE)
        gone = name_error(
            self,
            "Say that the twin is gone",
            DrillTwinGone,
            f"'{{}} was terminated before its dump was collected.', {_TWIN}",
            result_path=_FAILURE,
        )
        unheard = name_error(
            self,
            "Say that nobody heard the hang",
            DrillUnheard,
            "'{} was hung at {}, and no dump of it was concluded in time. Last refusal to interrupt it: {}', "
            f"{_TWIN}, $.times.{HUNG_AT}, $.watch.refusal",
            result_path=_FAILURE,
        )
        nothing_yet = dict.fromkeys(("isOver", "isTwinGone", "isUnheard", "mustFetch"), False) | {"refusal": ""}
        expect = set_fields(self, "Expect the alarm", nothing_yet, result_path="$.watch")
        first, second = (
            self._poll(title, check)
            for title, check in (("Watch the chain", "Look at the chain"), ("Watch the fetch", "Look at the fetch"))
        )
        must_fetch = sfn.Condition.boolean_equals("$.watch.mustFetch", True)
        for loop in (first, second):
            loop.ends_when(sfn.Condition.boolean_equals("$.watch.isTwinGone", True), gone)
            loop.ends_when(sfn.Condition.boolean_equals("$.watch.isOver", True), end)
        first.ends_when(must_fetch, name_fetch)
        first.ends_when(sfn.Condition.boolean_equals("$.watch.isUnheard", True), unheard)
        for loop in (first, second):
            loop.goes_on_after_errors("$.unseen").gives_up(unheard)
        connect(expect, first.start_state)
        connect(name_fetch, fetch, second.start_state)
        for each in (gone, unheard):
            each.next(end)
        return expect

    def _poll(self, title: str, check: str) -> Poll:
        payload = {"twinId.$": _TWIN, "hungAt.$": f"$.times.{HUNG_AT}"}
        look = task(self, check, FunctionCall(self._functions.watch_drill, payload), result_path="$.watch")
        polls = polling(self._watch_seconds, self._settings.poll_seconds, max_polls=200)
        return Poll(self, title, check=look, polling=polls)

    def _note(self, name: str, attribute: str, value: str, on_failure: sfn.State) -> sfn.CustomState:
        """Writes a field of the drill's record."""
        state = task(
            self,
            name,
            ApiCall(
                "dynamodb",
                "updateItem",
                {
                    "TableName": self._parts.incidents.table.table_name,
                    "Key": {"pk": {"S.$": f"States.Format('{DRILL_PREFIX}{{}}', $.plan.drill)"}},
                    "ConditionExpression": "attribute_exists(pk)",
                    "UpdateExpression": f"SET {attribute} = :value",
                    "ExpressionAttributeValues": {":value": {"S.$": value}},
                },
            ),
        )
        state.add_catch(on_failure, errors=["States.ALL"], result_path=_FAILURE)
        return state

    def _keep_time(self, name: str, field: str) -> sfn.Pass:
        return sfn.Pass(self, name, input_path="$$.State.EnteredTime", result_path=f"$.times.{field}")

    def _end(self) -> sfn.State:
        """The end of every path: what was made is removed first, if anything can have been made."""
        failed = sfn.Fail(self, "Fail without a proof", error_path=f"{_FAILURE}.Error", cause_path=f"{_FAILURE}.Cause")
        explain = ExplainFailure(self, "Explain the failure", then=failed).start_state
        unproven = name_error(
            self,
            "Say that nothing is proven",
            DrillUnproven,
            "'{} Kept: {}', $.outcome.detail, States.JsonToString($.outcome.kept)",
            result_path=_FAILURE,
        )
        left = name_error(
            self,
            "Say what is left",
            DrillLeftovers,
            "'The dump is proven, but not all is removed: {} {}', States.JsonToString($.outcome.left), "
            "States.JsonToString($.outcome.kept)",
            result_path=_FAILURE,
        )
        for each in (unproven, left):
            each.next(failed)
        ended = sfn.Choice(self, "How did it end?")
        ended.when(sfn.Condition.is_present(_FAILURE), explain)
        ended.when(sfn.Condition.not_(sfn.Condition.string_equals("$.outcome.status", "proven")), unproven)
        ended.when(sfn.Condition.boolean_equals("$.outcome.isAnythingLeft", True), left)
        ended.otherwise(sfn.Succeed(self, "Proven", output_path="$.outcome"))
        conclude = task(
            self,
            "Conclude the drill",
            FunctionCall(self._functions.conclude_drill, input_path="$"),
            result_path="$.outcome",
        )
        conclude.add_catch(explain, errors=["States.ALL"], result_path=_FAILURE)
        conclude.next(ended)
        remove = RemoveMade(
            self,
            "Remove what was made",
            function=self._short_lived.remove_rescue,
            result_path="$.removed",
            settings=self._settings,
            then=conclude,
        ).start_state
        # First: while it shuts down, its check fails once more.
        disarm = task(
            self,
            "Disarm the twin",
            FunctionCall(self._retire_instance, {"instanceId.$": _TWIN}),
            result_path="$.disarmed",
        )
        # The rule on terminated instances does the same again.
        disarm.add_catch(remove, errors=["States.ALL"], result_path="$.armed")
        disarm.next(remove)
        is_launched = sfn.Choice(self, "Was a twin launched?")
        is_launched.when(sfn.Condition.is_present(_TWIN), disarm).otherwise(remove)
        was_planned = sfn.Choice(self, "Was a twin planned?")
        was_planned.when(sfn.Condition.is_present("$.plan"), is_launched).otherwise(explain)
        return was_planned

    def _statements(self) -> list[iam.PolicyStatement]:
        stack, runner = cdk.Stack.of(self), self._parts.runner
        provision = self._provision.state_machine
        started: list[Any] = [provision.state_machine_arn, self._collect_vmcore.state_machine_arn]
        return [
            *short_lived_grants.launch(stack, self._short_lived.profile, None, is_encrypted=True),
            grants.keep_drills(self._parts.incidents.table, "UpdateItem"),
            iam.PolicyStatement(actions=["states:StartExecution"], resources=started),
            iam.PolicyStatement(
                actions=["states:DescribeExecution"], resources=[grants.executions(stack, "ProvisionDumpVolume")]
            ),
            *grants.run_documents(stack, [runner.documents.name(_DOCUMENT)]),
            short_lived_grants.hang(stack),
            grants.invoke(
                *self._functions.all(),
                runner.read_document_result,
                self._short_lived.remove_rescue,
                self._retire_instance,
            ),
        ]
