"""What every command has: the global options, and one way to end."""

import math
import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from hangdump_cli.errors import CommandFailed, Exit, explain
from hangdump_cli.invocation import Invocation


def _set(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        # The same option stands before and behind the command's name: what was typed counts, not the environment.
        run = context.ensure_object(Invocation)
        is_typed = context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        if value not in (None, False) and (is_typed or not getattr(run, name)):
            setattr(run, name, value)

    return callback


def _finite(_: click.Context, __: click.Parameter, value: float) -> float:
    # Not click.FloatRange, which lets nan pass.
    if not 0 <= value < math.inf:
        raise click.BadParameter("give minutes, 0 or more")
    return value


def timeout_option(minutes: float) -> Callable[[Any], Any]:
    """How long a command follows what it started."""
    return click.option(
        "--timeout",
        type=float,
        default=minutes,
        show_default=True,
        metavar="MINUTES",
        callback=_finite,
        help="Wait no longer, and end with 5. The execution goes on.",
    )


def global_options() -> list[click.Option]:
    """New ones for each command."""
    return [
        click.Option(
            ["--json", "is_json"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_set("is_json"),
            help="Print one JSON document, with schemaVersion.",
        ),
        click.Option(
            ["--region"],
            expose_value=False,
            callback=_set("region"),
            metavar="REGION",
            help="The stack's Region; else AWS_REGION or the profile's.",
        ),
        click.Option(
            ["--profile"],
            expose_value=False,
            callback=_set("profile"),
            metavar="NAME",
            help="The profile of the AWS configuration; else AWS_PROFILE.",
        ),
        click.Option(
            ["--stack"],
            expose_value=False,
            callback=_set("stack_name"),
            metavar="NAME",
            envvar="HANGDUMP_STACK",
            help="The stack's name, if the Region's parameter does not lead to it.",
        ),
    ]


class Command(click.Command):
    """A command that takes the global options, too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(global_options())

    def invoke(self, ctx: click.Context) -> Any:
        """Notes its name for an error's document."""
        ctx.ensure_object(Invocation).command = _command_of(ctx)
        return super().invoke(ctx)


def _command_of(context: click.Context) -> str:
    """`dump get`"""
    return context.command_path.partition(" ")[2]


class Group(click.Group):
    """Ends every command with an exit code, and every error with two lines or a JSON document."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(global_options())

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Exits; raises what only a change of the code can mend."""
        arguments = list(sys.argv[1:] if args is None else args)
        run = extra.pop("obj", None) or Invocation()
        extra.pop("standalone_mode", None)
        sys.exit(
            _run(
                lambda: super(Group, self).main(arguments, prog_name, standalone_mode=False, obj=run, **extra),
                run,
                arguments,
            )
        )


def _run(command: Callable[[], Any], run: Invocation, arguments: Sequence[str]) -> int:
    try:
        ended = command()
        sys.stdout.flush()
        return int(ended) if isinstance(ended, int) else Exit.OK
    except click.exceptions.NoArgsIsHelpError as error:
        # `hangdump` alone: its message is the help.
        click.echo(error.format_message(), err=True)
        return Exit.USAGE
    except click.UsageError as error:
        # Its option may be the one that was not read yet.
        run.is_json = run.is_json or "--json" in arguments
        where = error.ctx.command_path if error.ctx else "hangdump"
        run.command = _command_of(error.ctx) if error.ctx else ""
        failed = CommandFailed(
            error.format_message(), f"See `{where} --help`.", name="WrongUsage", exit_code=Exit.USAGE
        )
    except (KeyboardInterrupt, click.Abort):
        # Before or after the command itself.
        run.output.note("Interrupted.")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader closed the pipe: `hangdump fleet | head`. The interpreter's own flush must find nothing to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.NOT_GOOD
    except Exception as error:
        explained = explain(error, region=run.region)
        if explained is None:
            raise
        failed = explained
    run.output.fail(failed, run.command)
    return failed.exit


def interruptible(command: Callable[..., Any]) -> Callable[..., Any]:
    """Ctrl-C becomes one line. Inside of click, which would print an empty line of its own."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt as cut:
            run = click.get_current_context().find_object(Invocation) or Invocation()
            run.output.note(" ".join(["Interrupted.", *getattr(cut, "__notes__", ())]))
            return Exit.INTERRUPTED

    return wrapped
