"""One deployed stack for all of these tests; each test of `world` runs in a copy of it by fork, and leaves no trace."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.simulator.copies import Copies
from lab.simulator.world import SETTINGS, World, deployed
from tests.conftest import synthesize_once


@pytest.fixture(scope="package")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesize_once(tmp_path_factory, "simulator.out", SETTINGS)


@pytest.fixture(scope="package")
def original(assembly: Path) -> Iterator[World]:
    """For tests that make copies of their own."""
    with deployed(assembly) as world:
        yield world


@pytest.fixture
def world(original: World) -> World:
    """A ready instance in an account of its own. No fixture may change it: only the test's body runs in the copy."""
    return original


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if "world" not in pyfuncitem.fixturenames:
        return None
    copies = Copies()
    if copies.fork():
        copies.leave({"failure": _failure(pyfuncitem)})
    (result,) = copies.wait()
    if result["failure"]:
        pytest.fail(result["failure"], pytrace=False)
    return True


def _failure(test: pytest.Function) -> str:
    arguments = {name: test.funcargs[name] for name in test._fixtureinfo.argnames}
    try:
        test.obj(**arguments)
    except BaseException:
        return str(test.repr_failure(pytest.ExceptionInfo.from_current()))
    return ""
