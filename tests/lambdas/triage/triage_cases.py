"""The corpus of kernel logs, by kind, and what the triage must say about each."""

from pathlib import Path

from tests.lambdas.triage.case import Case
from tests.lambdas.triage.fault_cases import FAULTS
from tests.lambdas.triage.hang_cases import HANGS

__all__ = ["CASES", "KINDS", "LOGS", "Case", "read"]

LOGS = Path(__file__).parent / "logs"
KINDS: dict[str, dict[str, Case]] = {**HANGS, **FAULTS}
CASES: dict[str, Case] = {name: case for cases in KINDS.values() for name, case in cases.items()}


def read(name: str) -> str:
    """The log of that case."""
    return (LOGS / f"{name}.txt").read_text()
