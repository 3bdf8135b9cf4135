"""Reads the source of lambdas/: which functions, AWS calls and environment models a handler can come to.

A name that is mentioned counts as called, and a class as all of its methods, so nothing is missed; now and then
something is counted that a handler never does.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAMBDAS = ROOT / "lambdas"


@dataclass
class Module:
    """A module's definitions by name, and what its other names stand for: (module, name in it or "")."""

    definitions: dict[str, ast.AST] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)


@cache
def module(name: str) -> Module:
    """Parse `lambdas.x`."""
    path = ROOT.joinpath(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    parsed = Module()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            parsed.definitions[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    parsed.definitions[target.id] = node
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lambdas"):
            for alias in node.names:
                is_module = (ROOT.joinpath(*f"{node.module}.{alias.name}".split("."))).with_suffix(".py").is_file()
                target_name = (f"{node.module}.{alias.name}", "") if is_module else (str(node.module), alias.name)
                parsed.imported[alias.asname or alias.name] = target_name
    return parsed


def reachable(handler_module: str) -> Iterator[tuple[str, str, ast.AST]]:
    """(module, name, definition) of everything that `handler` mentions, and what that mentions, and so on."""
    waiting = [(handler_module, "handler")]
    seen: set[tuple[str, str]] = set()
    while waiting:
        key = waiting.pop()
        where, name = key
        definition = module(where).definitions.get(name)
        if key in seen or definition is None:
            continue
        seen.add(key)
        yield where, name, definition
        waiting.extend(_mentioned(where, definition))


def _mentioned(where: str, definition: ast.AST) -> Iterator[tuple[str, str]]:
    names = module(where)
    for node in ast.walk(definition):
        if isinstance(node, ast.Name):
            yield names.imported.get(node.id, (where, node.id))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            target, inner = names.imported.get(node.value.id, ("", "-"))
            if inner == "":
                yield target, node.attr


def aws_calls(handler_module: str) -> set[tuple[str, str]]:
    """(client function, method) of every `clients.<client>().<method>(…)`."""
    calls: set[tuple[str, str]] = set()
    for _, _, definition in reachable(handler_module):
        for node in ast.walk(definition):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Call)
                and isinstance(node.func.value.func, ast.Attribute)
                and isinstance(node.func.value.func.value, ast.Name)
                and node.func.value.func.value.id == "clients"
            ):
                method = node.func.attr
                if method == "get_paginator":
                    (argument,) = node.args
                    assert isinstance(argument, ast.Constant)
                    method = str(argument.value)
                calls.add((node.func.value.func.attr, method))
    return calls


def environment_models(handler_module: str) -> set[str]:
    """The names of the models of lambdas.runtime.environment that are read."""
    models: set[str] = set()
    for where, _, definition in reachable(handler_module):
        for node in ast.walk(definition):
            if isinstance(node, ast.Attribute) and node.attr == "read" and isinstance(node.value, ast.Name):
                target, name = module(where).imported.get(node.value.id, ("", ""))
                if target == "lambdas.runtime.environment":
                    models.add(name)
    return models
