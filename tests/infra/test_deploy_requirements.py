"""A deployment has an environment of its own: what it needs is in requirements/deploy.txt, and nothing of the lab."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKED = [*sorted((ROOT / "requirements").glob("*.txt")), *sorted(ROOT.glob("*/*requirements.txt"))]
# jinja2==3.1.6 \
_PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==", re.MULTILINE)

# Imports what `make synth` does where only the distributions of the arguments are installed.
_IMPORT = """
import sys
from importlib.metadata import packages_distributions

class OnlyThese:
    def find_spec(self, name, path=None, target=None):
        owners = OWNERS.get(name.partition(".")[0])
        if owners and not {each.lower().replace("_", "-") for each in owners} & set(sys.argv[1:]):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

OWNERS = packages_distributions()
sys.meta_path.insert(0, OnlyThese())
import app, infra.synth
"""


def _pins(file: Path) -> set[str]:
    return set(_PIN.findall(file.read_text()))


@pytest.mark.nightly
def test_a_synthesis_needs_nothing_else() -> None:
    command = [sys.executable, "-c", _IMPORT, *_pins(ROOT / "requirements" / "deploy.txt")]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_installs_nothing_of_the_lab_and_the_tests() -> None:
    assert _pins(ROOT / "requirements" / "deploy.txt") & {"drgn", "moto", "pytest", "mypy", "playwright"} == set()


def test_the_analysis_host_installs_the_drgn_that_the_tests_run() -> None:
    def drgn(file: str) -> str:
        found = re.search(r"^drgn==.*(?:\n    --hash=.*)+", (ROOT / file).read_text(), re.MULTILINE)
        assert found is not None, file
        return found[0]

    assert drgn("analysis/host_requirements.txt") == drgn("requirements/dev.txt")
    assert _pins(ROOT / "analysis" / "host_requirements.txt") == {"drgn"}


@pytest.mark.parametrize("file", LOCKED, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_pin_has_a_hash_and_no_file_names_an_index(file: Path) -> None:
    text = file.read_text()
    blocks = re.split(r"\n(?=\S)", text)
    assert [block for block in blocks if _PIN.match(block) and "--hash=sha256:" not in block] == []
    assert re.findall(r"https?://\S*|--(?:extra-)?index-url\S*", text.replace("--no-emit-index-url", "")) == []
