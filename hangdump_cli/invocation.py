"""One run of a command: its global options, and what they lead to."""

from dataclasses import dataclass, field
from functools import cached_property

from hangdump_cli.aws import Aws, Clock
from hangdump_cli.output import Output
from hangdump_cli.stack import Stack, find_stack


@dataclass
class Invocation:
    """The options may stand before and behind the command's name."""

    # Of the command that runs: `dump get`.
    command: str = ""
    is_json: bool = False
    region: str = ""
    profile: str = ""
    stack_name: str = ""
    clock: Clock = field(default_factory=Clock)

    @cached_property
    def aws(self) -> Aws:
        """Raises errors of botocore for a profile that does not exist."""
        return Aws(region=self.region, profile=self.profile)

    @cached_property
    def stack(self) -> Stack:
        """Raises StackNotFound and errors of AWS."""
        return find_stack(self.aws, self.stack_name)

    @cached_property
    def output(self) -> Output:
        """Created when the options are known."""
        return Output(is_json=self.is_json)
