"""Reads the settings from the context of cdk.json; owns the message for a wrong value."""

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from analysis.command_line import UserError
from infra.settings import Settings
from lambdas.runtime.document_settings import InstanceSettings, PanicSysctls

CONTEXT_KEY = "hangdump"
_LONGEST_VALUE = 200


class SettingsError(ValueError, UserError):
    """The settings hold a wrong value; the message names each key, its value and what is allowed."""


def read_context(file: Path) -> dict[str, Any]:
    """The context of a cdk.json, which holds an object of settings. Raises SettingsError."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SettingsError(f"{file} is not JSON: {error}. Fix that place, or `git checkout {file.name}`") from error
    context = content.get("context") if isinstance(content, dict) else None
    if not isinstance(context, dict) or not isinstance(context.get(CONTEXT_KEY), dict):
        raise SettingsError(
            f'{file} has no object "{CONTEXT_KEY}" in its "context". For the defaults add "{CONTEXT_KEY}": {{}} there'
        )
    return context


def load(context: object) -> Settings:
    """The settings from the context value: an object, its JSON text (`cdk -c hangdump='{…}'`), or None for defaults.

    Raises SettingsError.
    """
    if isinstance(context, str):
        try:
            context = json.loads(context)
        except json.JSONDecodeError as error:
            raise SettingsError(f"{CONTEXT_KEY} = {context!r} is no JSON object: {error}") from error
    if context is None:
        context = {}
    if not isinstance(context, Mapping):
        raise SettingsError(f"{CONTEXT_KEY} = {context!r}: allowed is an object of settings")
    try:
        return Settings.model_validate(dict(context))
    except ValidationError as error:
        problems = [_explain(detail) for detail in error.errors(include_url=False)]
        raise SettingsError("wrong settings in the context of cdk.json:\n  " + "\n  ".join(problems)) from error


def _explain(detail: ErrorDetails) -> str:
    """One line: the key, the value, what is allowed."""
    location = [str(part) for part in detail["loc"]]
    key = ".".join([CONTEXT_KEY, *location])
    properties = _model_at(location).model_json_schema()["properties"]
    if not location:
        return str(detail["ctx"]["error"])
    if detail["type"] == "value_error":
        return f"{key} = {repr(detail['input'])[:_LONGEST_VALUE]}: {detail['ctx']['error']}"
    if detail["type"] == "extra_forbidden":
        close = difflib.get_close_matches(location[-1], properties, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"{key} = {detail['input']!r}: no such key; {hint}allowed are {', '.join(properties)}"
    # A member of a list has no schema of its own: use the list's.
    schema = next(properties[part] for part in reversed(location) if part in properties)
    return f"{key} = {detail['input']!r}: allowed is {allowed(schema)} ({schema.get('description', '')})"


def _model_at(location: Sequence[str]) -> type[BaseModel]:
    """Which settings the last part of a place names: profiles.database.panicSysctls.softlockup_panic"""
    is_of_profile = location[:1] == ["profiles"] and len(location) > 2
    if list(location[2 if is_of_profile else 0 : -1]) == ["panicSysctls"]:
        return PanicSysctls
    return InstanceSettings if is_of_profile else Settings


def allowed(schema: Mapping[str, Any]) -> str:
    """The allowed values of a property of the JSON schema, in words."""
    if "anyOf" in schema:
        return " or ".join(allowed(each) for each in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(json.dumps(value) for value in schema["enum"])
    if "exclusiveMinimum" in schema:
        return f"a number above {schema['exclusiveMinimum']:g}, up to {schema['maximum']:.15g}"
    if "minimum" in schema:
        kind = "a whole number" if schema["type"] == "integer" else "a number"
        return f"{kind} from {schema['minimum']:g} to {schema['maximum']:.15g}"
    if "pattern" in schema:
        return f"text matching {schema['pattern']}"
    return {"boolean": "true or false", "array": "a list of text", "null": "null"}.get(
        schema.get("type", ""), "an object"
    )
