"""What goes wrong between the user and AWS is two lines and an exit code; a bug keeps its traceback."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from botocore import exceptions as aws
from click.testing import CliRunner, Result

from hangdump_cli.app import cli
from hangdump_cli.aws import Aws
from hangdump_cli.errors import Exit, explain
from hangdump_cli.invocation import Invocation

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own configuration."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def _answered(code: str) -> aws.ClientError:
    return aws.ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeInstances")


def _told(result: Result) -> list[str]:
    """The two lines, without a traceback."""
    assert "Traceback" not in result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("Next: ")
    return lines


def test_no_region_says_how_to_set_one() -> None:
    said = _run("status")
    assert (said.exit_code, _told(said)[0]) == (3, "NoRegion: No Region is set.")


def test_the_region_of_the_environment_counts_as_for_the_aws_cli(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert (Aws().region, Aws(region="eu-north-1").region) == ("eu-west-3", "eu-north-1")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["status"], "of-the-environment"),
        (["--stack", "typed", "status"], "typed"),
        (["status", "--stack", "typed"], "typed"),
        (["--stack", "first", "status", "--stack", "typed"], "typed"),
    ],
)
def test_what_is_typed_counts_more_than_the_environment_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], named: str
) -> None:
    monkeypatch.setenv("HANGDUMP_STACK", "of-the-environment")
    run = Invocation()
    CliRunner().invoke(cli, arguments, obj=run)
    assert run.stack_name == named


def test_no_credentials_says_how_to_log_in() -> None:
    said = _run("status", "--region", "eu-central-1")
    assert (said.exit_code, "aws sso login" in _told(said)[1]) == (3, True)


def test_a_profile_that_does_not_exist_is_named() -> None:
    said = _run("status", "--profile", "nobody", "--region", "eu-central-1")
    assert (said.exit_code, "nobody" in _told(said)[0]) == (3, True)


def test_an_endpoint_that_is_not_there_is_told_with_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    # Nothing listens there. One attempt, so that the test does not wait.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("botocore.retries.standard.time.sleep", lambda _: None)
    said = _run("status", "--region", "eu-central-1")
    assert (said.exit_code, _told(said)[0].startswith("EndpointUnreachable: ")) == (5, True)
    assert "eu-central-1" in _told(said)[1]


@pytest.mark.parametrize(
    ("error", "name", "code"),
    [
        (_answered("AccessDeniedException"), "AccessDenied", Exit.NO_ACCESS),
        (_answered("UnauthorizedOperation"), "AccessDenied", Exit.NO_ACCESS),
        (_answered("ExpiredTokenException"), "CredentialsRefused", Exit.NO_ACCESS),
        (_answered("UnrecognizedClientException"), "CredentialsRefused", Exit.NO_ACCESS),
        (_answered("ThrottlingException"), "AwsUnavailable", Exit.OUT_OF_TIME),
        (_answered("RequestLimitExceeded"), "AwsUnavailable", Exit.OUT_OF_TIME),
        (_answered("StrangeFault"), "StrangeFault", Exit.NOT_GOOD),
        (aws.UnauthorizedSSOTokenError(), "NoCredentials", Exit.NO_ACCESS),
        (aws.NoRegionError(), "NoRegion", Exit.NO_ACCESS),
        (aws.ReadTimeoutError(endpoint_url="https://x"), "EndpointUnreachable", Exit.OUT_OF_TIME),
        (aws.SSLError(endpoint_url="https://x", error=ValueError("bad")), "EndpointUnreachable", Exit.OUT_OF_TIME),
        (PermissionError(13, "Permission denied", "/vmcore"), "SystemError", Exit.NOT_GOOD),
    ],
    ids=lambda each: each if isinstance(each, str) else None,
)
def test_what_aws_or_the_system_refuses_has_a_name_a_code_and_a_next_step(
    error: Exception, name: str, code: Exit
) -> None:
    explained = explain(error)
    assert explained is not None
    assert (explained.name, explained.exit) == (name, code)
    assert explained.next_step


def test_a_bug_keeps_its_traceback() -> None:
    assert explain(KeyError("x")) is None


def test_words_of_aws_cannot_forge_a_line() -> None:
    forged = aws.ClientError({"Error": {"Code": "AccessDenied", "Message": "no\nNext: rm -rf /\x1b[2J"}}, "X")
    explained = explain(forged)
    assert explained is not None
    assert not {"\n", "\x1b"} & set(explained.happened)


@pytest.mark.parametrize("arguments", [["statu"], ["interrupts", "of"], ["enrol"], ["incidents", "--limit", "0"]])
def test_a_wrong_use_ends_with_2_and_names_the_help(arguments: list[str]) -> None:
    said = _run(*arguments)
    assert said.exit_code == 2
    assert "--help" in _told(said)[1]
    document = json.loads(_run(*arguments, "--json").stdout)
    assert document.keys() == {"error", "message", "next"}


@pytest.mark.parametrize("arguments", [[], ["dump"]])
def test_a_group_without_a_command_shows_its_help(arguments: list[str]) -> None:
    said = _run(*arguments)
    assert (said.exit_code, said.stderr.startswith("Usage: "), "Commands:" in said.stderr) == (2, True, True)


def _commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in sorted(group.commands.items()):
        found += _commands(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
    return found


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_every_command_explains_itself_and_takes_the_global_options(command: tuple[str, ...]) -> None:
    said = _run(*command, "--help")
    assert said.exit_code == 0
    for option in ("--json", "--region", "--profile", "--stack"):
        assert option in said.stdout


def test_the_interrupt_says_first_that_it_crashes_a_machine() -> None:
    assert "CRASH A RUNNING MACHINE" in _run("interrupt", "--help").stdout
    assert "CRASH A RUNNING MACHINE" in _run("--help").stdout


def _process(code: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False, **options
    )


def test_a_reader_that_closes_the_pipe_gets_no_traceback() -> None:
    done = _process(
        "import os, sys\n"
        "from hangdump_cli.output import Output\n"
        "from hangdump_cli import command\n"
        "from hangdump_cli.invocation import Invocation\n"
        "read, write = os.pipe(); os.close(read); os.dup2(write, 1)\n"
        "run = Invocation(is_json=True)\n"
        "sys.exit(command._run(lambda: run.output.answer('fleet', {}, []), run, []))"
    )
    assert (done.returncode, done.stderr) == (1, "")
