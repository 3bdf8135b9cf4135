"""Answers for a ScriptedMachine: what our documents would report, recognised by their scripts. Owns no document."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from lab.machines.machine import Completed
from lab.machines.scripted_machine import Answer
from ssm_documents.assemble import DOCUMENTS, assemble

# A result, or what gives one from the environment that the agent made of the parameters (SSM_<name>).
Result = Mapping[str, Any] | Completed | Callable[[Mapping[str, str]], Any]


def answers_documents(results: Mapping[str, Result]) -> Answer:
    """By verb phrase: a mapping is printed as JSON with exit code 0, a Completed is given as it is."""
    unknown = set(results) - set(DOCUMENTS)
    if unknown:
        raise ValueError(f"no such documents: {sorted(unknown)}; there are {DOCUMENTS}")
    by_script = {script_of(verb_phrase): result for verb_phrase, result in results.items()}

    def answer(script: str, environment: Mapping[str, str]) -> Completed | None:
        if script not in by_script:
            return None
        result = by_script[script]
        value = result(environment) if callable(result) else result
        return value if isinstance(value, Completed) else Completed(0, json.dumps(value), "")

    return answer


def failed(code: str, message: str) -> Completed:
    """How a document fails: exit code 1, and the reason as JSON."""
    return Completed(1, json.dumps({"error": code, "message": message}), "")


def script_of(verb_phrase: str) -> str:
    """The document's script as an agent that knows ENV_VAR runs it: nothing is substituted."""
    lines: list[str] = assemble(verb_phrase)["mainSteps"][0]["inputs"]["runCommand"]
    return "\n".join(lines)
