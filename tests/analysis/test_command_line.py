"""How commands end: what a user can mend is one line and a status, a bug keeps its traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.command_line import UserError, run

ROOT = Path(__file__).resolve().parents[2]


class PumpStopped(UserError):
    """An error of some command."""


def _run(code: str, **options: object) -> "subprocess.CompletedProcess[str]":
    """A process of its own that ends as our commands do; `code` is the body of its command."""
    program = f"import sys\nfrom analysis.command_line import run\ndef command():\n  {code}\nsys.exit(run(command))"
    given: dict[str, object] = {"stdout": subprocess.PIPE, **options}
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False, **given
    )


def test_an_error_of_the_users_is_its_name_its_message_and_what_the_place_of_it_knows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command() -> None:
        error = PumpStopped("there is no water. Open the tap")
        error.add_note("The log is in pump.log.")
        raise error

    assert run(command) == 1
    assert capsys.readouterr().err == "PumpStopped: there is no water. Open the tap The log is in pump.log.\n"


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 // 0)


def test_a_command_gives_its_own_status() -> None:
    assert [run(lambda: None), run(lambda: 3)] == [0, 3]


def test_ctrl_c_is_a_word_and_the_status_that_shells_give_it() -> None:
    done = _run("import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


def test_after_ctrl_c_the_end_of_the_process_is_quiet() -> None:
    done = _run("import atexit, os, signal; atexit.register(lambda: 1 // 0); os.kill(os.getpid(), signal.SIGINT)")
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


@pytest.mark.parametrize(
    "code",
    ["print('the result')", "print('x' * 100_000)", "import pathlib; pathlib.Path('/dev/stdout').write_text('x')"],
    ids=["at the end", "in the middle", "of a file"],
)
def test_a_full_disk_says_so(code: str) -> None:
    with open("/dev/full", "w") as full:
        done = _run(code, stdout=full)
    assert (done.returncode, done.stderr) == (1, "No space left on device. Free some space, then run it again.\n")


def test_a_reader_that_has_seen_enough_is_no_error_to_tell() -> None:
    read, write = os.pipe()
    os.close(read)
    done = _run("print('x' * 100_000)", stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("open('nowhere')", "No such file or directory: nowhere\n"),
        ("import drgn_of_tomorrow", "The Python module drgn_of_tomorrow is missing. Run `make setup` and use"),
        (
            "from subprocess import run; run(['sh', '-c', 'echo no way >&2; exit 3'], check=True, capture_output=True)",
            "sh ended with exit code 3: no way\n",
        ),
        (
            "import boto3; boto3.client('s3', region_name='eu-central-1').list_buckets()",
            "NoCredentialsError: Unable to locate credentials. Check AWS_PROFILE",
        ),
    ],
    ids=["a file", "a module", "a tool", "credentials"],
)
def test_what_is_missing_is_named_in_one_line(code: str, said: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    done = _run(code, env=environment)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(said)
