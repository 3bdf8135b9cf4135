"""`python -m analysis VMCORE` analyses a dump; `… open INCIDENT_ID` opens one; `… compare VMCORE` also runs crash.

`… release VMCORE` and `… install RELEASE` are the two halves that analyze_vmcore runs under different users.
"""

import argparse
import json
import multiprocessing
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.command_line import run


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status. Raises AnalysisError if the dump cannot be analysed."""
    # Imported here, so that a missing drgn or boto3 gives one line instead of a traceback.
    if arguments[:1] == ["open"]:
        from analysis import open_incident  # noqa: PLC0415

        return open_incident.main(arguments[1:])
    if arguments[:1] == ["compare"]:
        from analysis import compare_with_crash  # noqa: PLC0415

        return in_a_child(lambda: compare_with_crash.main(arguments[1:]))
    if arguments[:1] == ["release"]:
        return in_a_child(lambda: print_release(arguments[1:]))
    if arguments[:1] == ["install"]:
        return install(arguments[1:])
    return in_a_child(lambda: analyze(arguments))


def print_release(arguments: Sequence[str]) -> int:
    """`release VMCORE`: the kernel's release. For analyze_vmcore, whose root installs the symbols but opens no dump."""
    from analysis.vmcore import identify, open_vmcore  # noqa: PLC0415

    path = Path(*arguments)
    print(identify(open_vmcore(path), path).release)
    return 0


def install(arguments: Sequence[str]) -> int:
    """`install RELEASE`, as root: the packages with a kernel's symbols. What cannot be installed is only said."""
    from analysis.debuginfo import install_debuginfo  # noqa: PLC0415

    print(*install_debuginfo(arguments[0]), sep="\n", file=sys.stderr)
    return 0


def in_a_child(command: Callable[[], int]) -> int:
    """The status with which `command` ends in a process of its own. Raises VmcoreUnreadable when reading ended that.

    drgn maps the dump into memory: behind the end of one that was cut the kernel sends SIGBUS, which is no exception.
    """
    from analysis.errors import VmcoreUnreadable  # noqa: PLC0415

    child = multiprocessing.get_context("fork").Process(target=lambda: sys.exit(run(command)))
    child.start()
    # Ctrl-C reaches both, and the child says so.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    child.join()
    signal.signal(signal.SIGINT, before)
    status = child.exitcode or 0
    if -status in (signal.SIGBUS, signal.SIGSEGV, signal.SIGABRT):
        raise VmcoreUnreadable(
            f"reading the vmcore ended with {signal.Signals(-status).name}: it is cut or damaged. Compare its size and "
            "digest with the incident's record"
        )
    # Of a signal as a shell gives it: 137 when somebody killed it.
    return status if status >= 0 else 128 - status


def analyze(arguments: Sequence[str]) -> int:
    """Of one vmcore; the exit status."""
    from analysis.analyze import analyze_file  # noqa: PLC0415
    from analysis.options import add_debuginfo_options, sources_of  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="python -m analysis",
        description="Analyse a vmcore with the symbols of exactly its kernel.",
        epilog="The JSON goes to standard output, a summary to standard error. "
        "Also: `python -m analysis open INCIDENT_ID` downloads a vmcore and opens it; "
        "`python -m analysis compare VMCORE` holds its stacks against those of crash. Each has a --help.",
    )
    parser.add_argument("vmcore", type=Path, help="as downloaded; flattened dumps need no conversion")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the analysis here instead of printing it")
    add_debuginfo_options(parser)
    options = parser.parse_args(arguments)
    analysis = analyze_file(options.vmcore, sources_of(options))
    text = json.dumps(analysis, indent=1)
    if options.json is None:
        print(text)
    else:
        options.json.write_text(text + "\n")
        print(options.json, file=sys.stderr)
    sys.stdout.flush()
    print_summary(analysis)
    return 0


def print_summary(analysis: Mapping[str, Any]) -> None:
    """On standard error, below the JSON. An analysis host has no `lambdas`, and gets no summary."""
    try:
        from analysis.summary import summarize  # noqa: PLC0415
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] != "lambdas":
            print(f"No summary: {error}. Run `make setup` and use .venv/bin/python.", file=sys.stderr)
        return
    print("", *summarize(analysis), sep="\n", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))
