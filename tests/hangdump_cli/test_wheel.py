"""What is installed by `pipx install`: only what hangdump imports, ten packages, and no requirement of the stack."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lambdas.runtime.stack_parameter import VERSION

ROOT = Path(__file__).resolve().parents[2]
AREAS = ("analysis", "hangdump_cli", "lambdas")
# Besides the standard library. drgn is for `dump open` alone, which says how to get it.
ALLOWED = {"botocore", "click", "drgn", "rich"}
# click; rich, markdown-it-py, mdurl, Pygments; botocore, jmespath, python-dateutil, six, urllib3
MOST_PACKAGES = 10


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path, ours: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in ours else str(node.module)


def _reached() -> tuple[set[Path], set[str]]:
    """Our files that hangdump_cli imports, directly or not; and what those import that is not ours."""
    ours = {_name(path): path for area in AREAS for path in (ROOT / area).rglob("*.py")}
    waiting, seen, others = [name for name in ours if name.startswith("hangdump_cli")], set(), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        if name not in ours:
            others.add(name.partition(".")[0])
            continue
        seen.add(name)
        waiting += [name.rsplit(".", 1)[0]] if "." in name else []
        waiting += _imports(ours[name], ours)
    return {ours[name] for name in seen}, others - set(sys.stdlib_module_names)


def _included() -> set[Path]:
    found = set()
    for each in _project()["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]:
        place = ROOT / each
        found |= set(place.rglob("*.py")) if place.is_dir() else {place}
    return found


def test_the_wheel_holds_what_hangdump_imports_and_nothing_else() -> None:
    reached, _ = _reached()
    assert {str(each.relative_to(ROOT)) for each in _included()} == {str(each.relative_to(ROOT)) for each in reached}


def test_nothing_that_hangdump_imports_needs_a_requirement_of_the_stack() -> None:
    _, others = _reached()
    assert others <= ALLOWED


def test_the_distribution_asks_for_what_it_imports() -> None:
    wanted = {each.partition(">")[0] for each in _project()["project"]["dependencies"]}
    assert wanted == ALLOWED - {"drgn"}


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_it_is_installed_from_the_repository_with_ten_packages_and_runs(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {each for each in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in each}
    assert packed == {str(each.relative_to(ROOT)) for each in _included()}

    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True)
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "freeze"], check=True, capture_output=True, text=True
    ).stdout.split()
    others = [each for each in listed if each.partition("==")[0] not in ("hangdump", "pip", "setuptools")]
    assert len(others) <= MOST_PACKAGES, others
    ran = subprocess.run(
        [environment / "bin" / "hangdump", "--help"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert "interrupt" in ran.stdout
    version = subprocess.run(
        [environment / "bin" / "hangdump", "--version"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert VERSION in version.stdout
