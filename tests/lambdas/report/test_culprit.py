"""The page says who stopped the kernel by the symbols, which see behind a lock."""

from typing import Any

import pytest

from lambdas.report import render
from tests.lambdas.report.documents import parse
from tests.lambdas.report.incidents import ANALYSIS, CAPTURED, SPINNING

HOLDER = {
    "crashClass": "hung-task",
    "task": {"name": "hd-holder", "pid": 1411},
    "cpu": None,
    "function": "hold_the_mutex",
    "module": "hd",
    "waiters": [{"name": "hd-waiter", "pid": 1412}],
}


def text(culprit: Any) -> str:
    return parse(render(CAPTURED, SPINNING, {**ANALYSIS, "culprit": culprit})).text


def test_names_who_held_the_lock_and_who_waited() -> None:
    assert "hold_the_mutex [hd] in hd-holder (1411); hd-waiter (1412) waited for it" in text(HOLDER)


def test_of_user_space_there_is_no_function() -> None:
    assert "hangdump-spinne (602) in user space" in text(ANALYSIS["culprit"])


@pytest.mark.parametrize("culprit", [None, {}, {"task": None}, {"task": {"name": ""}}, "x", [1]])
def test_who_is_not_known_is_left_out(culprit: Any) -> None:
    assert "Culprit, from symbols" not in text(culprit)
