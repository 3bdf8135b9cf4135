"""AnalyzeVmcore: reads an incident's vmcore with its kernel's symbols; renders the report again.

On a host of the owner's, or without one on a twin: an instance of the same image that lives for this analysis. Every
path of an execution that planned a twin leads through "Remove what was made".
"""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.analyze.functions import AnalyzeFunctions
from infra.foundation import grants
from infra.foundation.functions import Function
from infra.parts import Parts
from infra.settings import Settings
from infra.short_lived import grants as short_lived_grants
from infra.short_lived.instance import ShortLivedInstance, Wanted, Words
from infra.short_lived.removal import REMOVE_SECONDS, RemoveMade, ShortLived
from infra.states import state_machine as workflow
from infra.states.explain_failure import ExplainFailure
from infra.states.run_document import DELIVERY_SECONDS, Command, Paths, RunDocument
from infra.states.state_machine import Workflow, connect
from infra.states.tasks import FunctionCall, name_error, set_fields, task
from lambdas.runtime.errors import (
    AnalysisOff,
    TwinDied,
    TwinLate,
    TwinNotLaunched,
    TwinNotRemoved,
    TwinSilent,
)
from lambdas.runtime.tags import ANALYSIS_HOST_TAG

NAME = "AnalyzeVmcore"
_DOCUMENT = "analyze_vmcore"
_FAILURE = "$.failure"
_WORDS = Words(
    title="twin",
    called="twin",
    died=TwinDied,
    why_died="Most often this state machine may not use the key that encrypts volumes by default, or that of the "
    "image: allow its role in the key policy.",
    late=TwinLate,
    silent=TwinSilent,
    why_silent="Its image must start an SSM agent by itself, and its subnet must reach the endpoints ssm, ssmmessages "
    "and S3: see rescueInstanceSubnetId.",
    not_launched=TwinNotLaunched,
)


def machine_arn(stack: cdk.Stack) -> str:
    """The ARN by name: CollectVmcore and RescueVmcore start AnalyzeVmcore, which uses what RescueVmcore made."""
    return stack.format_arn(
        service="states", resource="stateMachine", resource_name=NAME, arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
    )


def started_automatically(stack: cdk.Stack, settings: Settings) -> str:
    """The ARN, for those who start it after a vmcore was collected; "" unless the setting is automatic."""
    return machine_arn(stack) if settings.analyze == "automatic" else ""


def longest_seconds(settings: Settings) -> int:
    """The sum of all waits."""
    analysis = settings.analysis_timeout_seconds + DELIVERY_SECONDS
    return 2 * settings.rescue_instance_timeout_seconds + analysis + REMOVE_SECONDS


class AnalyzeVmcore(Construct):
    """The state machine and its functions; with the setting `analyze: off`, a machine that only says so."""

    def __init__(
        self, scope: Construct, *, parts: Parts, short_lived: ShortLived, render_report: Function, settings: Settings
    ) -> None:
        super().__init__(scope, NAME)
        self._render_report = render_report
        self._parts = parts
        self._short_lived = short_lived
        self._settings = settings
        # Nothing is left that could read a vmcore. The machine stays, to name the setting, with the one right by which
        # an execution that runs on during the deployment removes its twin.
        definition = self._off() if settings.analyze == "off" else self._on()
        self.state_machine = workflow.state_machine(self, NAME, workflow=definition, settings=settings)

    def _off(self) -> Workflow:
        refused = sfn.Fail(
            self, "Fail because analyses are off", error=AnalysisOff.__name__, cause=AnalysisOff.sentence()
        )
        statements = [grants.invoke(self._short_lived.remove_rescue)]
        return Workflow(refused, statements, timeout_seconds=60, comment="Analyses are off", acknowledged={})

    def _on(self) -> Workflow:
        self._functions = AnalyzeFunctions(self, parts=self._parts, settings=self._settings)
        return Workflow(
            first=self._states(),
            statements=self._statements(),
            # The loops' limits end every wait first: doubled for the polls, the rest for the calls in between.
            timeout_seconds=2 * longest_seconds(self._settings) + 3600,
            comment="Read a vmcore with the symbols of its kernel",
            acknowledged={
                **short_lived_grants.acknowledged(
                    image="A twin has the image of the incident's instance, which may be any."
                ),
                grants.wildcard("ec2:instance/*"): f"{grants.ANY_INSTANCE} {short_lived_grants.MADE_BY_US}",
            },
        )

    def _states(self) -> sfn.State:
        end = self._end()
        request = set_fields(self, "Note the request", {"input.$": "$", "twin": {}}, result_path="$")
        payload = {"input.$": "$.input", "twin.$": "$.twin"}
        plan = task(
            self, "Plan analysis", FunctionCall(self._functions.plan_analysis, payload), result_path="$.analysis"
        )
        command = Command(
            _DOCUMENT,
            {
                "manifestUrl.$": "States.Array($.analysis.manifestUrl)",
                "timeoutSeconds": [str(self._settings.analysis_timeout_seconds)],
            },
            self._settings.analysis_timeout_seconds,
        )
        paths = Paths(instance_id="$.analysis.analysisInstanceId", result="$.analysed", failure=_FAILURE)
        analyze = RunDocument(self, "Analyze vmcore", runner=self._parts.runner, command=command, paths=paths)
        analyze.on_failure(end)
        draw = task(
            self,
            "Render report",
            FunctionCall(self._render_report, {"incidentId.$": "$.analysis.incidentId"}),
            result_path="$.analysed.report",
        )
        for each in (plan, draw):
            each.add_catch(end, errors=["States.ALL"], result_path=_FAILURE)
        is_given = sfn.Choice(self, "Is a host given?")
        is_given.when(sfn.Condition.is_present("$.input.analysisInstanceId"), plan)
        is_given.otherwise(self._twin(plan, end))
        connect(request, is_given)
        connect(plan, analyze, draw)
        draw.next(end)
        return request

    def _twin(self, then: sfn.State, on_failure: sfn.State) -> sfn.State:
        """The states up to the twin's agent; they lead to `then` with the twin at `$.twin`."""
        execution = {"executionId.$": "$$.Execution.Id", "executionName.$": "$$.Execution.Name"}
        plan = task(
            self,
            "Plan twin",
            FunctionCall(self._functions.plan_twin, {"input.$": "$.input", **execution}),
            result_path="$.plan",
        )
        plan.add_catch(on_failure, errors=["States.ALL"], result_path=_FAILURE)
        # plan_analysis reads from EC2 whether it is the twin that this execution launched.
        note = set_fields(
            self, "Note the twin", {"instanceId.$": "$.launched.instanceId", **execution}, result_path="$.twin"
        )
        wanted = Wanted.planned(
            words=_WORDS,
            profile=self._short_lived.profile,
            failure_path=_FAILURE,
            ends_itself_after_seconds=longest_seconds(self._settings),
        )
        launch = ShortLivedInstance(
            self, "Launch twin", wanted=wanted, settings=self._settings, then=note, on_failure=on_failure
        )
        connect(plan, launch.start_state)
        note.next(then)
        return plan

    def _end(self) -> sfn.State:
        """The end of every path: what was made is removed first, if anything can have been made."""
        failed = sfn.Fail(
            self, "Fail without an analysis", error_path=f"{_FAILURE}.Error", cause_path=f"{_FAILURE}.Cause"
        )
        left = name_error(
            self,
            "Say that the twin is left",
            TwinNotRemoved,
            f"'The analysis is in the bucket, but {{}} could not be removed within {REMOVE_SECONDS} s.', "
            "States.JsonToString($.removed.left)",
            result_path=_FAILURE,
        )
        left.next(failed)
        ended = sfn.Choice(self, "How did it end?")
        explain = ExplainFailure(self, "Explain why there is no analysis", then=failed).start_state
        ended.when(sfn.Condition.is_present(_FAILURE), explain)
        is_left = sfn.Condition.and_(
            sfn.Condition.is_present("$.removed.isAnythingLeft"),
            sfn.Condition.boolean_equals("$.removed.isAnythingLeft", True),
        )
        ended.when(is_left, left)
        ended.otherwise(sfn.Succeed(self, "Analysed", output_path="$.analysed"))
        remove = RemoveMade(
            self,
            "Remove what was made",
            function=self._short_lived.remove_rescue,
            result_path="$.removed",
            settings=self._settings,
            then=ended,
        )
        was_planned = sfn.Choice(self, "Was a twin planned?")
        was_planned.when(sfn.Condition.is_present("$.plan"), remove.start_state).otherwise(ended)
        return was_planned

    def _statements(self) -> list[iam.PolicyStatement]:
        stack, runner, settings = cdk.Stack.of(self), self._parts.runner, self._settings
        functions = (self._functions.plan_twin, self._functions.plan_analysis, self._render_report)
        types = dict.fromkeys([settings.analysis_instance_type, settings.analysis_instance_type_arm64])
        return [
            *grants.send_command(stack, [runner.documents.name(_DOCUMENT)], tag=ANALYSIS_HOST_TAG),
            short_lived_grants.command(stack),
            *short_lived_grants.launch(stack, self._short_lived.profile, list(types), is_encrypted=True),
            grants.invoke(runner.read_document_result, self._short_lived.remove_rescue, *functions),
        ]
