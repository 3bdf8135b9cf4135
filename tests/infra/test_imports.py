"""What each room of the house may import: house rules that a reviewer would otherwise have to keep in mind."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AREAS = ("analysis", "bench", "hangdump_cli", "infra", "lab", "lambdas", "ssm_documents")

# Room → what it must not import. Of our own places a prefix counts for all below it.
MUST_NOT = {
    # boto3 and Powertools are the functions' own; aws_cdk is not in their bundle.
    "lambdas": {"infra", "lab", "bench", "tests", "ssm_documents", "aws_cdk", "moto"},
    "ssm_documents": {"infra", "lab", "lambdas", "bench", "tests"},
    "infra": {"lab", "bench", "tests", "lambdas.handlers"},
    "lab": {"bench", "tests"},
    # It is installed without the stack's requirements: tests/hangdump_cli/test_wheel.py follows what it imports.
    "hangdump_cli": {"infra", "lab", "bench", "tests", "ssm_documents", "aws_cdk", "moto", "boto3", "pydantic"},
    # It runs on the host that holds the dump, with nothing but Python and drgn.
    "analysis": {"infra", "lab", "bench", "tests", "lambdas", "ssm_documents", "aws_cdk", "moto", "pydantic"},
    "lambdas.respond": {"lambdas.collect", "lambdas.report", "lambdas.sweep"},
    "infra.rescue": {"infra.collect"},
    "infra.analyze": {"infra.collect", "infra.rescue"},
    "infra.short_lived": {"infra.analyze", "infra.collect", "infra.rescue"},
    "infra.upload": {"infra.collect", "infra.rescue"},
    "infra.conclude": {"infra.analyze", "infra.collect", "infra.rescue"},
}
# Room → all that it may import of its area.
MAY_ONLY = {
    "lambdas.runtime": {"lambdas.runtime"},
    "lambdas.triage": {"lambdas.triage"},
    "lambdas.vmcore": {"lambdas.vmcore", "lambdas.triage", "lambdas.runtime"},
    # What it says of an instance is judged elsewhere.
    "lambdas.instance": {"lambdas.instance", "lambdas.incident", "lambdas.runtime"},
    # It reads records and rows, and nothing of the acts that wrote them.
    "lambdas.events": {"lambdas.events", "lambdas.fleet", "lambdas.incident", "lambdas.runtime"},
    # It knows no act: rescues and analyses use it.
    "lambdas.short_lived": {"lambdas.short_lived", "lambdas.incident", "lambdas.runtime"},
    # It knows no act: what a provisioning came to is told to it.
    "lambdas.fleet": {"lambdas.fleet", "lambdas.incident", "lambdas.runtime"},
    # It knows no act.
    "lambdas.incident": {"lambdas.incident", "lambdas.runtime"},
}
# The one module of a room that may import what its room must not, and what: ADR 14.
EXCEPT = {
    # For a terminal in a checkout. `analysis` runs without it where there is no `lambdas`.
    "analysis.summary": {
        *("lambdas.triage", "lambdas.report.processors", "lambdas.report.analysis_model"),
        "lambdas.runtime.visible_text",
    }
}
# Imported by nothing but tests.
ROOFS = ("lambdas.handlers", "infra.tools", "bench", "hangdump_cli")
# The pages that read and write; everything else in the room only draws.
PURE = {"lambdas.report": "lambdas.report.pages"}


@cache
def modules() -> dict[str, frozenset[str]]:
    """Module → the modules, ours by their own name, that it imports anywhere."""
    paths = {_name(path): path for area in AREAS for path in sorted((ROOT / area).rglob("*.py"))}
    return {name: frozenset(_imported(path, set(paths))) for name, path in paths.items()}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imported(path: Path, known: set[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the direction"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in known else str(node.module)


def _is_in(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def _room(module: str) -> str:
    """`lambdas.respond` of lambdas.respond.lease; a module beside the rooms is a room of its own."""
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("room", MUST_NOT)
def test_a_room_does_not_import_what_it_must_not_know(room: str) -> None:
    found = {name: imported for name, imported in modules().items() if _is_in(name, room)}
    assert found, f"there is no {room}"
    wrong = {
        name: sorted(
            each
            for each in imported
            if any(_is_in(each, place) for place in MUST_NOT[room])
            and not any(_is_in(each, place) for place in EXCEPT.get(name, ()))
        )
        for name, imported in found.items()
    }
    assert {name: each for name, each in wrong.items() if each} == {}


@pytest.mark.parametrize("room", MAY_ONLY)
def test_a_room_imports_of_its_area_only_what_it_stands_on(room: str) -> None:
    area = room.partition(".")[0]
    found = {name: imported for name, imported in modules().items() if _is_in(name, room)}
    assert found, f"there is no {room}"
    wrong = {
        name: sorted(
            each for each in imported if _is_in(each, area) and not any(_is_in(each, place) for place in MAY_ONLY[room])
        )
        for name, imported in found.items()
    }
    assert {name: each for name, each in wrong.items() if each} == {}


@pytest.mark.parametrize("room", ROOFS)
def test_nothing_imports_an_entry_point_or_a_tool(room: str) -> None:
    users = {
        name
        for name, imported in modules().items()
        if not _is_in(name, room) and any(_is_in(each, room) for each in imported)
    }
    assert users == set()


@pytest.mark.parametrize("room", PURE)
def test_a_page_is_drawn_without_reading_or_writing(room: str) -> None:
    sources = {name: imported for name, imported in modules().items() if _is_in(name, room) and name != PURE[room]}
    outside = {"boto3", "botocore", "lambdas.runtime.clients", "lambdas.runtime.bucket", "os", "pathlib"}
    wrong = {name: sorted(imported & outside) for name, imported in sources.items() if imported & outside}
    # The templates beside it are loaded from the bundle.
    wrong.pop(room, None)
    assert wrong == {}


@pytest.mark.parametrize("area", AREAS)
def test_modules_import_each_other_in_no_circle(area: str) -> None:
    assert _circle({name: each for name, each in modules().items() if _is_in(name, area)}) == []


@pytest.mark.parametrize("area", ["infra", "lab", "lambdas"])
def test_rooms_import_each_other_in_no_circle(area: str) -> None:
    rooms: dict[str, set[str]] = {}
    for name, imported in modules().items():
        if _is_in(name, area) and name != area:
            below = {_room(each) for each in imported if _is_in(each, area) and each != area}
            rooms.setdefault(_room(name), set()).update(below - {_room(name)})
    assert _circle({room: frozenset(below) for room, below in rooms.items()}) == []


def _circle(graph: dict[str, frozenset[str]]) -> list[str]:
    """The first circle that is found, or nothing."""
    done: set[str] = set()

    def search(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for each in sorted(graph.get(node, frozenset()) & graph.keys()):
            if found := search(each, [*path, node]):
                return found
        done.add(node)
        return []

    for node in sorted(graph):
        if found := search(node, []):
            return found
    return []
