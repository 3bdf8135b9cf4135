"""docs/readiness.md says what each finding means, and where it was provoked. UPDATE_SNAPSHOTS=1 writes it."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.ssm_documents.hosts import host
from tests.ssm_documents.spoils import spoils_of
from tests.ssm_documents.test_check_kdump import SEEN_DIFFERENTLY

DOCUMENTS = Path(__file__).resolve().parents[2] / "ssm_documents"
FINDINGS: dict[str, dict[str, str]] = yaml.safe_load((DOCUMENTS / "check_kdump/findings.yaml").read_text())
PAGE = DOCUMENTS.parent / "docs/readiness.md"
FAMILIES = {"debian": "Debian", "redhat": "RHEL", "suse": "SLES"}
HEAD = "| code | severity | meaning | observed in | remedy | provoked alone on |\n|---|---|---|---|---|---|\n"


def rows() -> Iterator[str]:
    for code, finding in FINDINGS.items():
        told = (finding[each] for each in ("severity", "meaning", "observed", "remedy"))
        yield f"| `{code}` | {' | '.join(told)} | {', '.join(provoked(code)) or '-'} |\n"


def provoked(code: str) -> Iterator[str]:
    """How many hosts of each family, by how many ways each."""
    hosts = Counter(host(name).family for name in SEEN_DIFFERENTLY)
    for family, name in FAMILIES.items():
        ways = sum(spoil.code == code for spoil in spoils_of(family).values())
        if ways:
            yield f"{name}: {_many(hosts[family], 'host')}, {_many(ways, 'way')}"


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def test_the_page_has_the_table_of_the_findings() -> None:
    page = PAGE.read_text()
    today = re.sub(r"(?<=^## Findings\n\n)(\|.*\n)+", lambda _: HEAD + "".join(rows()), page, flags=re.MULTILINE)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(today)
    assert PAGE.read_text() == today, "run this file with UPDATE_SNAPSHOTS=1 and commit docs/readiness.md"


def codes_in_shell() -> set[str]:
    text = "\n".join(
        file.read_text()
        for folder in ("check_kdump", "families", "shell")
        for file in DOCUMENTS.glob(f"{folder}/**/*.sh")
    )
    return set(re.findall(r"\b(?:note_)?finding ([a-z][a-z-]+) ", text))


def test_every_finding_of_the_document_is_in_the_table_and_no_other() -> None:
    assert set(FINDINGS) == codes_in_shell()


@pytest.mark.parametrize(
    ("family", "elsewhere"),
    # Only kdump-tools names dumps by 12 digits, and only its dump volume can be parked.
    [("debian", set())] + [(family, {"dump-removed-by-cron", "parking-broken"}) for family in ("redhat", "suse")],
)
def test_every_finding_is_provoked_alone_on_each_family(family: str, elsewhere: set[str]) -> None:
    assert {spoil.code for spoil in spoils_of(family).values()} | elsewhere == set(FINDINGS)
