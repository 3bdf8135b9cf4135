"""Runs in ministack's own environment: walks state machines through recorded executions with ministack's interpreter.

Standard input: a list of `{"machine","name","arn","started_at","input","definition","answers","lists","outputs"}`;
`answers` has for each state what its calls came to, in order: `[output]` or `[error, cause]`, and for a Distributed Map
`[]` where it read its list, which is one of `lists` (`[bucket, key, text]`). `outputs` has the ends of the map's
children (`[item, output]`): each child is an execution of its own here. Standard output: for each of them
`{"enters": [[state, input]], "calls": [[state, arguments]], "status","output","error","cause"}`.

The definitions are untouched. Replaced is what ministack does outside of its interpreter, and one thing within: it has
variables for JSONata alone, ours are in JSONPath.
"""

import json
import re
import sys
from types import SimpleNamespace
from typing import Any, NoReturn

from ministack.services import stepfunctions as engine

_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")


class Replay:
    """One execution; the answers to its calls are those of the recording."""

    def __init__(self, execution: dict[str, Any]) -> None:
        self.recorded = execution
        self.answers = {state: list(answers) for state, answers in execution["answers"].items()}
        self.state = ""
        self.calls: list[tuple[str, Any]] = []
        self.variables: dict[str, Any] = {}
        self.is_over = False

    def run(self) -> dict[str, Any]:
        self._install()
        arn, name = self.recorded["arn"], self.recorded["machine"]
        machine = ":".join([*arn.split(":")[:5], "stateMachine", name])
        engine._state_machines[machine] = {"name": name, "definition": self.recorded["definition"]}
        engine._executions[arn] = execution = {
            "executionArn": arn,
            "stateMachineArn": machine,
            "name": self.recorded["name"],
            "status": "RUNNING",
            "startDate": self.recorded["started_at"],
            "input": self.recorded["input"],
            "output": None,
            "events": [],
        }
        engine._run_execution(arn)
        del engine._executions[arn]
        if self.is_over:
            execution.update(status="STOPPED", error=None, cause=None)
        entered = [each["stateEnteredEventDetails"] for each in execution["events"] if "Entered" in each["type"]]
        return {
            "enters": [(each["name"], json.loads(each["input"])) for each in entered],
            "calls": self.calls,
            "output": json.loads(execution["output"]) if execution["status"] == "SUCCEEDED" else None,
            **{name: execution.get(name) for name in ("status", "error", "cause")},
        }

    def _install(self) -> None:
        def execute_task(state: Any, data: Any, execution: Any, ctx: Any) -> Any:
            self.state = ctx["State"]["Name"]
            return _execute_task(state, data, execution, ctx)

        def execute_pass(state: Any, data: Any, ctx: Any) -> Any:
            output, following = _execute_pass(state, data, ctx)
            self._assign(state, output, ctx)
            return output, following

        def execute_choice(state: Any, data: Any, ctx: Any) -> Any:
            output, following = _execute_choice(state, data, ctx)
            # The state's own assignment is for when no rule matches.
            if following == state.get("Default"):
                self._assign(state, data, ctx)
            return output, following

        def resolve_path(path: str, data: Any) -> Any:
            variable = _VARIABLE.fullmatch(path)
            return self.variables[variable[1]] if variable else _resolve_path(path, data)

        engine._execute_task, engine._execute_pass, engine._execute_choice = execute_task, execute_pass, execute_choice

        def read_map_items(reader: Any, data: Any, ctx: Any) -> Any:
            self.state = ctx["State"]["Name"]
            return _read_map_items(reader, data, ctx)

        engine._resolve_path = resolve_path
        engine._read_map_items, engine._s3_object_text = read_map_items, self._read_list
        engine._run_sub_machine = lambda states, start, item, child, ctx: self._end_of_child(item)
        engine._invoke_resource = lambda resource, arguments: self._answer(arguments)
        engine._invoke_resource_with_timeout = lambda resource, arguments, timeout: self._answer(arguments)

    def _assign(self, state: Any, data: Any, ctx: Any) -> None:
        self.variables.update(engine._resolve_params_obj(state.get("Assign", {}), data, ctx))

    def _answer(self, arguments: Any) -> Any:
        self.calls.append((self.state, arguments))
        return self._next_answer()[0]

    def _next_answer(self) -> list[Any]:
        answers = self.answers.get(self.state)
        if not answers:
            self._stop()
        answer: list[Any] = answers.pop(0)
        if len(answer) == 2:
            raise engine._ExecutionError(*answer)
        return answer

    def _read_list(self, bucket: str, key: str) -> str:
        self._next_answer()
        found: list[str] = [text for *place, text in self.recorded["lists"] if place == [bucket, key]]
        return found[0] if found else self._stop()

    def _end_of_child(self, item: Any) -> Any:
        found = [output for each, output in self.recorded["outputs"] if each == item]
        return found[0] if found else self._stop()

    def _stop(self) -> NoReturn:
        """The recorded execution was cut short here, or this one went another way."""
        self.is_over = True
        engine._executions[self.recorded["arn"]]["status"] = "STOPPED"
        raise engine._ExecutionError("Replay.NoAnswer", "")


_execute_task, _execute_pass, _execute_choice = engine._execute_task, engine._execute_pass, engine._execute_choice
_resolve_path, _read_map_items = engine._resolve_path, engine._read_map_items
# Waits and the intervals of retries take no time.
engine.time = SimpleNamespace(sleep=lambda seconds: None)
# Nobody listens for the change of an execution's status.
engine._emit_execution_status_event = lambda execution: None


def main() -> None:
    json.dump([Replay(each).run() for each in json.load(sys.stdin)], sys.stdout)


if __name__ == "__main__":
    main()
