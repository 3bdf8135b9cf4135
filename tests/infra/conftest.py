"""The synthesized template and its state machines, as plain data."""

from pathlib import Path
from typing import Any

import pytest

from tests.infra.template import CHILDREN, MACHINES, Machine, Template


@pytest.fixture(scope="session")
def template(assembly: Path) -> Template:
    """The template with the default settings."""
    return Template.read(assembly)


@pytest.fixture(params=(*MACHINES, *CHILDREN))
def machine(request: pytest.FixtureRequest, template: Template) -> Machine:
    """Each state machine in turn, children of maps too."""
    return template.machine(request.param)


@pytest.fixture(scope="session")
def functions(template: Template) -> dict[str, dict[str, Any]]:
    """Every Lambda function's properties by its name."""
    return {each["FunctionName"]: each for each in template.of_type("AWS::Lambda::Function").values()}
