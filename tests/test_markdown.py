"""The Markdown files name nothing that is not there: files, anchors, make targets, modules, and names of our code."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.settings import Settings
from infra.synth import TEMPLATE

ROOT = Path(__file__).resolve().parents[1]
TRACKED = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    if (ROOT / name).is_file()
]
# Pages below tests/ are templates of pages in docs/; the changelog tells of what is gone, too.
PAGES = [
    path
    for path in TRACKED
    if path.suffix == ".md" and path.relative_to(ROOT).parts[0] != "tests" and path.name != "CHANGELOG.md"
]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

# Of AWS, Amazon EKS, Karpenter and Linux: our code does not use them.
FOREIGN = {
    *("CopyVolumes", "DescribeStacks", "ListMultipartUploads", "PropagateAtLaunch", "ScheduledStop"),
    *("CreateLaunchTemplateVersion", "StandbyInstances", "TransactWriteItems", "NodeRepair", "NotReady"),
    *("autoScalingGroups", "expireAfter"),
    *("CreateOpsItem", "InputPathsMap", "InputTemplate", "SearchableString", "dedupString", "operationalData"),
    *("routing_key", "event_action", "dedup_key"),
    *("nodeRepairConfig", "nodeRepairConfigOverrides", "el1h_64_irq", "srso_return_thunk", "hung_task_warnings"),
}
# lab/image/releases/, but neither /usr/lib nor tests/…/x.py
_PATH = re.compile(r"(?<![\w/.$-])[\w.-]+(?:/[\w.-]+)+/?(?![\w*<{…])")
# python -m lab.demo, $(RUN) -m lab.demo
_MODULE = re.compile(r"(?:python3?|\$\(\w+\))(?: -B)? -m ([\w.]+)")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# dumpSizeFactor, OwnAlarmTopicArn, respond_to_hang: more than one word in one.
_COMPOUND = re.compile(r"[a-z]+[A-Z]\w*|(?:[A-Z][a-z0-9]+){2,}|[a-z0-9]+(?:_[a-z0-9]+)+")


def _without_code_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def _quoted(page: Path) -> Iterator[str]:
    """What stands between backticks, and the lines of code blocks."""
    text = page.read_text()
    for block in re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", _without_code_blocks(text))


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", _without_code_blocks(page.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    text = re.sub(r"`[^`\n]+`", "", _without_code_blocks(page.read_text()))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert broken == []


@each_page
def test_every_path_of_the_repository_is_there(page: Path) -> None:
    ours = {path.relative_to(ROOT).parts[0] for path in TRACKED if path.parent != ROOT}
    paths = [
        # A path may end a sentence.
        word.rstrip(".")
        for text in _quoted(page)
        for word in re.findall(r"(?<![\w/.$-])[\w.-]+(?:/[\w.-]+)+/?(?![\w*<{…])", text)
    ]
    gone = [each for each in paths if each.split("/")[0] in ours and not (ROOT / each).exists()]
    # results/latest, .cache: made by a run.
    made = subprocess.run(["git", "check-ignore", *gone], cwd=ROOT, check=False, capture_output=True, text=True).stdout
    assert set(gone) - set(made.split()) == set()


def _make_words(page: Path) -> Iterator[str]:
    """What stands behind `make` on a line of code: targets, variables with a value."""
    for text in _quoted(page):
        if command := re.match(r"(?:sudo )?make ([^#]*)", text):
            yield from command[1].split()


@each_page
def test_every_make_target_and_variable_is_one(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = " ".join(re.findall(r"^([a-z][a-z0-9 -]*):", makefile, flags=re.MULTILINE)).split()
    assert [word for word in _make_words(page) if "=" not in word and word not in targets] == []
    variables = [word.partition("=")[0] for word in _make_words(page) if "=" in word]
    assert [name for name in variables if f"$({name})" not in makefile] == []


@pytest.mark.parametrize("file", [*PAGES, ROOT / "Makefile"], ids=lambda file: str(file.relative_to(ROOT)))
def test_every_python_module_that_is_run_is_there(file: Path) -> None:
    modules = _MODULE.findall(file.read_text())
    ours = [ROOT.joinpath(*name.split(".")) for name in modules if (ROOT / name.split(".")[0]).is_dir()]
    files = [(place.with_suffix(".py"), place / "__main__.py") for place in ours]
    assert [each for each in files if not any(path.is_file() for path in each)] == []


@pytest.fixture(scope="module")
def names(assembly: Path) -> set[str]:
    """All that our code calls something: settings and outputs, and every word of the files that are no Markdown."""
    found = set(Settings.model_json_schema()["properties"])
    found |= set(json.loads((assembly / TEMPLATE).read_text())["Outputs"])
    for path in TRACKED:
        found |= {part for name in path.relative_to(ROOT).parts for part in _IDENTIFIER.findall(name)}
        if path.suffix not in (".md", ".png") and path != Path(__file__):
            found |= set(_IDENTIFIER.findall(path.read_text(errors="replace")))
    return found


@each_page
def test_every_setting_function_output_and_error_is_one_of_ours(page: Path, names: set[str]) -> None:
    words = {word for text in _quoted(page) for word in _IDENTIFIER.findall(text) if _COMPOUND.fullmatch(word)}
    assert words - names - FOREIGN == set()


def test_every_setting_is_named_in_a_page() -> None:
    words = {word for page in PAGES for text in _quoted(page) for word in _IDENTIFIER.findall(text)}
    assert set(Settings.model_json_schema()["properties"]) - words == set()
