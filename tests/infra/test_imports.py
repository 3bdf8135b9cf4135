"""Imports go one way: lambdas know nobody, infra knows lambdas, lab knows both."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# area → what it may not import. boto3 and Powertools are the functions' own; aws_cdk is not in their bundle.
FORBIDDEN = {
    "lambdas": {"infra", "lab", "bench", "tests", "ssm_documents", "aws_cdk", "moto"},
    "ssm_documents": {"infra", "lab", "lambdas", "bench", "tests"},
    "infra": {"lab", "bench", "tests"},
    "lab": {"bench", "tests"},
    # It runs on the host that holds the dump, with nothing but Python and drgn.
    "analysis": {"infra", "lab", "bench", "tests", "lambdas", "ssm_documents", "aws_cdk", "moto", "pydantic"},
}


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the direction"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("area", FORBIDDEN)
def test_an_area_imports_nothing_that_depends_on_it(area: str) -> None:
    paths = sorted((ROOT / area).rglob("*.py"))
    assert paths
    wrong = {str(path): sorted(found) for path in paths if (found := _imported(path) & FORBIDDEN[area])}
    assert wrong == {}
