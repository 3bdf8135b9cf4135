"""From a hostile log to the page: whatever programs, devices and attackers make the kernel print, it stays text."""

import random
import re

import pytest

from lambdas.report import render
from lambdas.report.page import Exhibits
from lambdas.triage import triage
from lambdas.triage.model import Triage
from tests.lambdas.report.documents import parse
from tests.lambdas.report.hostile_values import ATTACKS
from tests.lambdas.report.incidents import CAPTURED
from tests.lambdas.report.test_hostile_input import check_page
from tests.lambdas.triage.hostile_logs import LOGS, hostile_log
from tests.seeds import seeds

LOGS_A_SEED = 350
SEEDS = 30
# A tag of whatever kind: the templates' own, and nothing else, may begin with "<".
_TAG = re.compile(r"<[^<>]*>?")
# Every so often a page is read whole, which costs three times as much as making it.
_WHOLE = 25
_PRINTABLE = [attack for attack in ATTACKS if attack.isprintable() and len(attack) < 100]


def poisoned(chance: random.Random) -> str:
    """A log with attacks in the place of some of its words: names of tasks, modules, functions and hardware are words.

    Lines that triage reads are preferred: among a thousand of a boot few ever get into a page.
    """
    lines = chance.choice(LOGS).splitlines()
    told = [number for number, line in enumerate(lines) if re.search(r"Comm:|name:|\[|task:|BUG|panic|\+0x", line)]
    for number in chance.sample(told, min(len(told), chance.randrange(1, 12))):
        words = lines[number].split(" ")
        at = chance.randrange(len(words))
        words[at] = chance.choice([chance.choice(_PRINTABLE), words[at] + chance.choice(_PRINTABLE)])
        lines[number] = " ".join(words)
    return "\n".join(lines)


def tags(page: str) -> set[str]:
    """What a browser may take for a tag, without the values of attributes."""
    found = set(_TAG.findall(re.sub(r"(?s)<style>.*?</style>", "", page)))
    return {re.sub(r'"[^"]*"', '""', each) for each in found}


@pytest.fixture(scope="module")
def own_tags() -> set[str]:
    """Those of the pages of all logs as they are, and of one without anything."""
    pages = [render(CAPTURED, triage(log), exhibits=Exhibits(console=log, log=log)) for log in LOGS]
    return set().union(*(tags(page) for page in (*pages, render(CAPTURED, None), render(CAPTURED, Triage()))))


@pytest.mark.parametrize("seed", seeds(SEEDS, quick=1))
def test_no_log_becomes_markup(seed: int, own_tags: set[str]) -> None:
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    seen = 0
    for number in range(LOGS_A_SEED):
        log = hostile_log(chance).text if number % 2 else poisoned(chance)
        page = render(CAPTURED, triage(log), exhibits=Exhibits(console=log[:300], log=log))
        assert tags(page) <= own_tags, log
        if number % _WHOLE == 0:
            check_page(page)
            seen += any(attack in parse(page).text for attack in _PRINTABLE)
    # The attacks were on the page, to be read.
    assert seen > LOGS_A_SEED / _WHOLE / 3
