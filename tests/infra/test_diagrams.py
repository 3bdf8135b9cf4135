"""docs/state-machines.md shows the machines as they are."""

from infra.tools.diagrams import PAGE, page
from tests.infra.template import MACHINES, Template


def test_the_state_diagrams_are_drawn_from_todays_definitions(template: Template) -> None:
    assert PAGE.read_text() == page(template.content), "run `make docs` and commit docs/state-machines.md"


def test_every_state_is_in_its_diagram(template: Template) -> None:
    drawn = page(template.content)
    for name in MACHINES:
        missing = [state for state in template.machine(name).states if f'"{state}"' not in drawn]
        assert not missing
