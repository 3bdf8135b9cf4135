"""What executions of the simulator did, from their histories, and scenarios that together come through most states."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest import mock

from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.distributed_iteration_component import (
    DistributedIterationComponent,
)
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager

from lab.simulator.copies import Copies
from lab.simulator.injection import Fault, Site
from lab.simulator.world import World
from lambdas.incident.object_keys import FLEET
from tests.infra.template import MACHINES
from tests.simulator import test_analyze
from tests.simulator.faults.matrix import Depth, faults_at
from tests.simulator.faults.scenarios import SCENARIOS
from tests.simulator.rare_scenarios import RARE
from tests.variants.test_permissions import WORKFLOW_TESTS, scenarios_of

Scenario = Callable[[World], Any]


@dataclass
class Recording:
    """One execution, or child of a Distributed Map: what it was given and answered, and what it made of that.

    A child's `machine` is named as AWS names it: the machine and the map's label.
    """

    scenario: str
    machine: str
    name: str
    arn: str
    started_at: str
    input: str
    definition: str
    status: str
    output: Any
    error: str | None
    cause: str | None
    # (state, input), (state, arguments), and for each state what its calls came to: [output] or [error, cause]. Of a
    # map: [] where it read its list.
    enters: list[tuple[str, Any]] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    answers: dict[str, list[list[Any]]] = field(default_factory=lambda: defaultdict(list))
    # For its maps: (bucket, key, text) of each list, and (item, output) of each child that ended.
    lists: list[tuple[str, str, str]] = field(default_factory=list)
    outputs: list[tuple[Any, Any]] = field(default_factory=list)

    def add(self, event: dict[str, Any]) -> None:
        details: dict[str, Any] = next((value for name, value in event.items() if name.endswith("Details")), {})
        if event["type"].endswith("StateEntered"):
            self.enters.append((details["name"], json.loads(details["input"])))
            return
        if not event["type"].startswith(("Task", "LambdaFunction", "MapRun")):
            return
        state = self.enters[-1][0]
        if event["type"].endswith("Scheduled"):
            arguments = details["parameters"] if "parameters" in details else details["input"]
            self.calls.append((state, json.loads(arguments)))
        elif event["type"] == "MapRunSucceeded":
            self.answers[state].append([])
        elif event["type"].endswith("Succeeded"):
            self.answers[state].append([json.loads(details["output"])])
        elif event["type"].endswith(("Failed", "TimedOut")):
            self.answers[state].append([details.get("error", "States.Timeout"), details.get("cause", "")])


@dataclass(frozen=True)
class MapRun:
    """A Distributed Map that ran. moto has one history for all of its children, and forgets it."""

    execution_arn: str
    state: str
    events: EventManager

    def record_children(self, parent: Recording) -> list[Recording]:
        """One recording for each child; the outputs of those that ended are noted in the parent's."""
        definition = json.loads(parent.definition)["States"][self.state]
        processor = definition["ItemProcessor"]
        children: list[Recording] = []
        # An event is of the child that the event before it is of.
        child_of: dict[int, Recording] = {}
        for event in self.events.get_event_history():
            entered = event.get("stateEnteredEventDetails", {})
            if entered.get("name") == processor["StartAt"]:
                child = Recording(
                    scenario="",
                    machine=f"{parent.machine}/{definition['Label']}",
                    name=f"{parent.name}-{len(children)}",
                    arn=f"{parent.arn}-{len(children)}",
                    started_at=event["timestamp"],
                    input=entered["input"],
                    definition=json.dumps(processor),
                    status="ABORTED",
                    output=None,
                    error=None,
                    cause=None,
                )
                children.append(child)
            else:
                child = child_of[event["previousEventId"]]
            child_of[event["id"]] = child
            child.add(event)
            if event["type"] == "SucceedStateExited":
                child.status, child.output = "SUCCEEDED", json.loads(event["stateExitedEventDetails"]["output"])
                parent.outputs.append((json.loads(child.input), child.output))
        return children


@contextmanager
def map_runs() -> Iterator[list[MapRun]]:
    """Those of the executions within."""
    kept: list[MapRun] = []
    run_map = DistributedIterationComponent._map_run

    def keep(component: Any, env: Any, eval_input: Any) -> None:
        facts = env.states.context_object.context_object_data
        kept.append(MapRun(facts["Execution"]["Id"], facts["State"]["Name"], env.event_manager))
        run_map(component, env, eval_input)

    with mock.patch.object(DistributedIterationComponent, "_map_run", keep):
        yield kept


def record(world: World, map_runs: Sequence[MapRun]) -> list[Recording]:
    """All executions of a world, and the children of their maps."""
    recordings = []
    for execution in world.executions():
        events = execution.exec_worker.env.event_manager.get_event_history()
        recording = Recording(
            scenario="",
            machine=execution.state_machine.name,
            name=execution.name,
            arn=execution.exec_arn,
            started_at=events[0]["timestamp"],
            input=json.dumps(execution.input_data),
            definition=execution.state_machine.definition,
            **{name: getattr(execution, name) for name in ("status", "output", "error", "cause")},
        )
        for event in events:
            recording.add(event)
        recordings.append(recording)
        recording.lists.extend(_work_lists(world, recording.name))
        for run in (each for each in map_runs if each.execution_arn == recording.arn):
            recordings += run.record_children(recording)
    return recordings


def _work_lists(world: World, execution_name: str) -> Iterator[tuple[str, str, str]]:
    listed = world.account.client("s3").list_objects_v2(Bucket=world.bucket, Prefix=f"{FLEET}{execution_name}/")
    for each in listed.get("Contents", []):
        yield world.bucket, each["Key"], world.content(each["Key"]).decode()


def record_all(world: World) -> list[Recording]:
    """Scenarios, the tests of the workflows, input that names nothing. Then each call of a state goes wrong, and each
    command that is polled never ends.
    """
    tests = {each.__name__: each for each in (*RARE, *scenarios_of((*WORKFLOW_TESTS, test_analyze)))}
    nothing: dict[str, Scenario] = {f"{name} of nothing": partial(World.run, machine=name) for name in MACHINES}
    recordings, _ = _run(world, {**tests, **nothing})
    undisturbed, sites = _run(world, SCENARIOS)
    disturbed: dict[str, Scenario] = {}
    for site, name in sorted(sites.items()):
        for fault in faults_at(site, Depth.HANG):
            disturbed[f"{name}, {fault}"] = _with_fault(SCENARIOS[name], fault)
        if site.operation == "GetCommandInvocation":
            disturbed[f"{name}, {site.caller}: never ends"] = _with_unending_command(SCENARIOS[name], site)
    return [*recordings, *undisturbed, *_run(world, disturbed)[0]]


def _with_fault(scenario: Scenario, fault: Fault) -> Scenario:
    def run(world: World) -> None:
        world.injection.begin([fault])
        scenario(world)

    return run


def _with_unending_command(scenario: Scenario, polled: Site) -> Scenario:
    def run(world: World) -> None:
        answer = world.injection.answer

        def still_in_progress(site: Site, client: Any, forward: Any) -> Any:
            result = answer(site, client, forward)
            return {**result, "Status": "InProgress"} if site == polled else result

        world.injection.answer = still_in_progress  # type: ignore[method-assign]
        scenario(world)

    return run


def _run(world: World, scenarios: Mapping[str, Scenario]) -> tuple[list[Recording], dict[Site, str]]:
    """The recordings, and each place where a state calls, with a scenario that comes there."""
    copies = Copies()
    for name, scenario in scenarios.items():
        if copies.fork():
            try:
                with map_runs() as runs:
                    scenario(world)
                seen = [(site.caller, site.call) for site in world.injection.seen if site.is_state]
                copies.leave({"name": name, "seen": seen, "recordings": [vars(each) for each in record(world, runs)]})
            except BaseException as error:
                error.add_note(name)
                copies.leave_crashed(error)
    results = sorted(copies.wait(), key=lambda each: str(each["name"]))
    recordings = [Recording(**{**each, "scenario": run["name"]}) for run in results for each in run["recordings"]]
    return recordings, {Site(*site): run["name"] for run in reversed(results) for site in run["seen"]}
