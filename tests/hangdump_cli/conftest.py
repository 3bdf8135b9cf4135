"""The simulator's account with one ready instance, in a copy for each test, as in tests/simulator/."""

from tests.simulator.conftest import assembly, original, pytest_pyfunc_call, world

__all__ = ["assembly", "original", "pytest_pyfunc_call", "world"]
