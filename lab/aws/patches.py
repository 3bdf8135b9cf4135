"""Replaces parts of moto for as long as an account lives, and puts them back. Owns no behaviour of its own."""

from collections.abc import Callable
from typing import Any

_ABSENT = object()


class MotoHasChanged(Exception):
    """A patch no longer fits the installed moto: look at the patch's docstring and at moto's change log."""


class Patches:
    """Undo log of attribute replacements on moto's classes and modules."""

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, Any]] = []

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Put `make(original)` in place of something that moto has."""
        if not hasattr(owner, name):
            raise MotoHasChanged(f"{owner!r} has no {name!r} to replace")
        self._set(owner, name, make(getattr(owner, name)))

    def add(self, owner: Any, name: str, value: Any) -> None:
        """Give moto something that it lacks; that it has it by now is an error, since ours should go then."""
        if hasattr(owner, name):
            raise MotoHasChanged(f"{owner!r} has {name!r} by now: remove the patch")
        self._set(owner, name, value)

    def undo(self) -> None:
        while self._undo:
            owner, name, previous = self._undo.pop()
            if previous is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, previous)

    def _set(self, owner: Any, name: str, value: Any) -> None:
        # vars() and not getattr(): what was inherited is put back by deleting ours, and descriptors stay descriptors.
        self._undo.append((owner, name, vars(owner).get(name, _ABSENT)))
        setattr(owner, name, value)
