"""A fragment of a state machine that its user wires himself: every way out was given to it, none is left open."""

from aws_cdk import aws_stepfunctions as sfn


class ClosedFragment(sfn.StateMachineFragment):
    """Subclasses set `_start`, the state where the fragment is entered."""

    _start: sfn.State

    @property
    def start_state(self) -> sfn.State:
        """Where the fragment is entered."""
        return self._start

    @property
    def end_states(self) -> list[sfn.INextable]:
        """None: every way out leads somewhere already."""
        return []
