"""What goes wrong between the user and AWS is two lines and an exit code; a bug keeps its traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from botocore import exceptions as aws
from click.testing import CliRunner, Result

from analysis.fetch_vmcore import IncidentNotFound
from hangdump_cli import command
from hangdump_cli.app import cli
from hangdump_cli.aws import Aws
from hangdump_cli.errors import Exit, StackParameterUnreadable, explain
from hangdump_cli.invocation import Invocation
from hangdump_cli.stack import find_stack

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


def _answered(code: str, status: int = 400) -> aws.ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return aws.ClientError(answer, "DescribeInstances")


def _worded(code: str) -> IncidentNotFound:
    """As analysis.fetch_vmcore words what S3 answers."""
    error = IncidentNotFound("no s3://bucket/key")
    error.__cause__ = _answered(code)
    return error


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
        (_answered("EC2ThrottledException"), "AwsUnavailable", Exit.OUT_OF_TIME),
        (_answered("Strange", status=502), "AwsUnavailable", Exit.OUT_OF_TIME),
        (_answered("Strange", status=429), "AwsUnavailable", Exit.OUT_OF_TIME),
        (aws.InvalidRegionError(region_name="eu_central_1"), "InvalidRegion", Exit.USAGE),
        (_worded("AccessDenied"), "IncidentNotFound", Exit.NO_ACCESS),
        (_worded("SlowDown"), "IncidentNotFound", Exit.OUT_OF_TIME),
        (_worded("404"), "IncidentNotFound", Exit.NOT_GOOD),
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
    assert document.keys() == {"schemaVersion", "command", "error", "message", "next"}


@pytest.mark.parametrize("arguments", [[], ["dump"]])
def test_a_group_without_a_command_shows_its_help(arguments: list[str]) -> None:
    said = _run(*arguments)
    assert (said.exit_code, said.stderr.startswith("Usage: "), "Commands:" in said.stderr) == (2, True, True)


@pytest.mark.parametrize("minutes", ["nan", "inf", "-1"])
def test_a_timeout_is_a_number_of_minutes(minutes: str) -> None:
    said = _run("enrol", "i-0123456789abcdef0", "--timeout", minutes)
    assert (said.exit_code, "give minutes" in said.stderr) == (2, True)


def test_a_region_that_is_none_is_a_wrong_use() -> None:
    assert _run("status", "--region", "eu central").exit_code == 2


def test_an_error_names_the_command_in_its_document() -> None:
    document = json.loads(_run("dump", "get", "x", "--json").stdout)
    assert (document["schemaVersion"], document["command"]) == (1, "dump get")


def test_the_options_of_all_commands_stand_before_the_name_of_a_subcommand_too() -> None:
    run = Invocation()
    CliRunner().invoke(cli, ["dump", "--region", "eu-north-1", "get", "x"], obj=run)
    assert run.region == "eu-north-1"


@pytest.mark.parametrize("cut", [KeyboardInterrupt, click.Abort])
def test_ctrl_c_outside_of_a_command_is_one_line(cut: type[BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    def command_that_is_cut() -> None:
        raise cut

    assert command._run(command_that_is_cut, Invocation(), []) == Exit.INTERRUPTED
    assert capsys.readouterr().err == "Interrupted.\n"


def test_a_terminal_that_knows_ascii_alone_gets_no_traceback() -> None:
    done = _process(
        "from hangdump_cli import app\napp.cli.main = lambda **_: print('caf\\u00e9')\napp.main()",
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        stdout=subprocess.PIPE,
    )
    assert (done.returncode, done.stdout) == (0, "caf\\xe9\n"), done.stderr


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schemaVersion": "1"}', '{"schemaVersion": 1}'])
def test_a_parameter_that_describes_no_stack_is_told_and_does_not_matter_when_the_stack_is_named(text: str) -> None:
    class Ssm:
        def client(self, service: str) -> Any:
            if service == "ssm":
                return SimpleNamespace(get_parameter=lambda **_: {"Parameter": {"Value": text}})
            outputs = [{"OutputKey": "IncidentTableName", "OutputValue": "x"}]
            return SimpleNamespace(describe_stacks=lambda **_: {"Stacks": [{"Outputs": outputs}]})

    with pytest.raises(StackParameterUnreadable) as told:
        find_stack(Ssm(), "")  # type: ignore[arg-type]
    assert "--stack" in told.value.next_step
    assert find_stack(Ssm(), "Named").name == "Named"  # type: ignore[arg-type]


def _commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, each in sorted(group.commands.items()):
        found += _commands(each, (*path, name)) if isinstance(each, click.Group) else [(*path, name)]
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
