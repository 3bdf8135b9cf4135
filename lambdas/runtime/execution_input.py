"""Checks the input of an execution. An error names the field, its value and the allowed values."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from lambdas.runtime.errors import InvalidInput

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# 20261123T040000Z-i-0123456789abcdef0
IncidentId = Annotated[str, Field(pattern=r"^[0-9]{8}T[0-9]{6}Z-i-[0-9a-f]{8,17}$")]
# i-0123456789abcdef0; instances from before 2016 have eight digits.
INSTANCE_ID = re.compile(r"i-[0-9a-f]{8}(?:[0-9a-f]{9})?")
InstanceId = Annotated[str, Field(pattern=f"^{INSTANCE_ID.pattern}$")]
# vol-0123456789abcdef0
VolumeId = Annotated[str, Field(pattern=r"^vol-[0-9a-f]{8}([0-9a-f]{9})?$")]

_LONGEST_VALUE = 100


class GivenInput(BaseModel):
    """Base class: camelCase keys, no unknown keys, strict types: the text "true" is not a boolean."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)


class ExecutionInput(GivenInput):
    """The input for one instance."""

    instance_id: InstanceId


Model = TypeVar("Model", bound=GivenInput)


def read_input(model: type[Model], given: Any) -> Model:
    """Raises InvalidInput, which lists every problem."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        known = [field.alias or name for name, field in model.model_fields.items()]
        problems = "; ".join(_explain(problem, known) for problem in error.errors(include_url=False))
        raise InvalidInput(f"The execution's input is wrong: {problems}.", "Correct it and start again.") from error


def _explain(problem: "ErrorDetails", known: Iterable[str]) -> str:
    path = ".".join(str(step) for step in problem["loc"]) or "input"
    if problem["type"] == "missing":
        return f"{path} is missing"
    value = repr(problem["input"])[:_LONGEST_VALUE]
    if problem["type"] == "extra_forbidden":
        return f"{path} = {value}: no such key; allowed are {', '.join(known)}"
    return f"{path} = {value}: {problem['msg']}"
