"""Calls by boto3 in this process: those of a state, and the simulator's functions', pass only if their role may.

What runs now is part of a state or a function says the context: of the thread in the lab, of the activity in the
simulator. Calls of nobody are the account's own and the tests'.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.client import BaseClient
from moto.stepfunctions.parser.asl.component.state.exec.state_map.state_map import StateMap
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_lambda import StateTaskLambda
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from lab.aws.iam.policy import Caller
from lab.aws.patches import Patches
from lab.aws.state import AccountState

# `state` is `CollectVmcore / Find vmcore`, `function` is `plan_upload`, `caller` is a person's role.
Context = dict[str, Any]
_thread = threading.local()


def context_of_thread() -> Context:
    return vars(_thread)


def install(patches: Patches, state: AccountState, context: Callable[[], Context]) -> None:
    """`context` gives that of the code that calls it."""
    _install_states(patches, context)
    _install_maps(patches, state, context)

    def make(original: Any) -> Any:
        def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
            here = context()
            name = here.get("state") or here.get("function")
            if not (name or here.get("caller")) or here.get("isByNobody"):
                return original(client, operation, parameters)
            caller = here.get("caller") or _caller(state, name or "")

            def forward() -> Any:
                with by_nobody(here):
                    return original(client, operation, parameters)

            service = client.meta.service_model.service_name
            return state.permissions.call(caller, service, operation, parameters, forward)

        return call

    patches.replace(BaseClient, "_make_api_call", make)


@contextmanager
def by_nobody(context: Context) -> Iterator[None]:
    """What the account or a scenario does in the middle of somebody's call, no role does."""
    context["isByNobody"] = True
    try:
        yield
    finally:
        del context["isByNobody"]


def _install_states(patches: Patches, context: Callable[[], Context]) -> None:
    """Each Task is evaluated in a thread of its own, which is told the name of its state."""

    def make(original: Any) -> Any:
        def evaluate(task: Any, env: Any) -> None:
            facts = env.states.context_object.context_object_data
            here = context()
            here.clear()
            here["state"] = f"{facts['StateMachine']['Name']} / {facts['State']['Name']}"
            original(task, env=env)

        return evaluate

    for kind in (StateTaskLambda, StateTaskService):
        patches.replace(kind, "_eval_execution", make)


def _install_maps(patches: Patches, state: AccountState, context: Callable[[], Context]) -> None:
    """Real: a Distributed Map reads its items, and starts each child as an execution, with the role of its machine.
    moto: asks nobody, and runs the children within the execution."""

    def make(original: Any) -> Any:
        def evaluate(map_state: Any, env: Any) -> None:
            facts = env.states.context_object.context_object_data
            here = context()
            here.clear()
            here["state"] = f"{facts['StateMachine']['Name']} / {facts['State']['Name']}"
            if map_state.item_reader is not None:
                given = {"stateMachineArn": facts["StateMachine"]["Id"]}
                caller = _caller(state, here["state"])
                state.permissions.call(caller, "stepfunctions", "StartExecution", given, lambda: None)
            original(map_state, env=env)

        return evaluate

    patches.replace(StateMap, "_eval_execution", make)


def _caller(state: AccountState, name: str) -> Caller:
    machine, _, is_state = name.partition(" / ")
    if is_state:
        machines = stepfunctions_parser_backends[state.account_id][state.region].state_machines
        return Caller(machine, next(str(each.roleArn) for each in machines if each.name == machine))
    return Caller(name, str(state.backend("lambda").get_function(f"Hangdump-{name}").role))
