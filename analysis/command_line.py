"""Ends every command of this repository with an exit status, and with one line for an error that its user can fix.

It stands in `analysis` because that package runs on hosts that have nothing else of the repository.
"""

import errno
import os
import subprocess
import sys
from collections.abc import Callable

_FAILED = 1
# 128 + SIGINT, as a shell reports it.
_INTERRUPTED = 130


class UserError(Exception):
    """An error that the user can fix. The message says what happened and what to do next."""


def run(command: Callable[[], int | None]) -> int:
    """The exit status of `command`; None counts as 0.

    A UserError, Ctrl-C, an error of the operating system, of AWS or of a tool, and a missing module become one line on
    standard error. Any other exception is a bug and keeps its traceback.
    """
    try:
        try:
            return command() or 0
        finally:
            _flush_output()
    except KeyboardInterrupt as error:
        status = _fail("Interrupted.", error, _INTERRUPTED)
        # Ctrl-C ends the children as well, such as aws_cdk's Node, whose pipe Python then finds broken at its own end.
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
        return status
    except BrokenPipeError:
        # The reader closed the pipe: `python -m analysis vmcore | head`.
        return _FAILED
    except Exception as error:
        explanation = explain(error)
        if explanation is None:
            raise
        return _fail(explanation, error, _FAILED)


def explain(error: Exception) -> str | None:
    """What happened and what to do next; None for an error that only a change of the code can fix."""
    if isinstance(error, UserError):
        return f"{type(error).__name__}: {error}"
    if isinstance(error, OSError):
        return _explain_system_error(error)
    if isinstance(error, subprocess.CalledProcessError):
        return f"{_program(error)} ended with exit code {error.returncode}: {_last_line(error)}"
    if isinstance(error, ModuleNotFoundError):
        return f"The Python module {error.name} is missing. Run `make setup` and use .venv/bin/python, or install it."
    if isinstance(error, _aws_errors()):
        return f"{type(error).__name__}: {error}. Check AWS_PROFILE, AWS_REGION, and what your credentials may do."
    return None


def _explain_system_error(error: OSError) -> str:
    if error.strerror is None:
        return f"{type(error).__name__}: {error}"
    where = f": {error.filename}" if error.filename is not None else ""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return f"{error.strerror}{where}{'. Free some space, then run it again.' if full else ''}"


def _program(error: subprocess.CalledProcessError) -> str:
    return str(error.cmd[0] if isinstance(error.cmd, list | tuple) else error.cmd)


def _last_line(error: subprocess.CalledProcessError) -> str:
    """The last line that the program printed, when its output was captured."""
    output = error.stderr or error.stdout or ""
    text = output.decode(errors="replace") if isinstance(output, bytes) else str(output)
    return (text.strip().splitlines() or ["see above"])[-1]


def _aws_errors() -> tuple[type[Exception], ...]:
    """Empty without boto3, which only some commands import."""
    module = sys.modules.get("botocore.exceptions")
    return (module.BotoCoreError, module.ClientError) if module else ()


def _flush_output() -> None:
    """Flushes here, so that a full disk or a closed pipe shows: the interpreter's own flush prints a traceback."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _fail(explanation: str, error: BaseException, status: int) -> int:
    """Prints the notes (`error.add_note`) too: they say how to continue."""
    print(explanation, *getattr(error, "__notes__", ()), file=sys.stderr)
    return status
