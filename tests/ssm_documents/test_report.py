"""How documents talk: valid JSON whatever happens, on stdout alone."""

import json
import subprocess
from pathlib import Path

import pytest

from ssm_documents.assemble import HERE
from tests.ssm_documents.fake_root import VOLUME_ID, FakeRoot

REPORT = HERE / "shell/report.sh"


def _bash(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -euo pipefail; . {REPORT}; {script}", "_", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('say "hi" \\ & more', 'say "hi" \\ & more'),
        ("two\nlines\ttab\r", "two\nlines tab"),
        ("bell\x07 escape\x1b[0m", "bell? escape?[0m"),
        ("%s %n ${x} `id` $(id)", "%s %n ${x} `id` $(id)"),
        ("", ""),
    ],
)
def test_strings_are_escaped(text: str, told: str) -> None:
    assert json.loads(_bash('json_string "$1"', text).stdout) == told


def test_bytes_that_are_no_utf8_still_give_json() -> None:
    assert set(json.loads(_bash(r"json_string $'\xff\xfe caf\xc3\xa9'").stdout)) <= set("? caf")


@pytest.mark.parametrize(("lines", "told"), [("", []), ('a\nb "c"\n', ["a", 'b "c"'])])
def test_lists_are_escaped(lines: str, told: list[str]) -> None:
    assert json.loads(_bash('printf "%s" "$1" | json_list', lines).stdout) == told


def _document(body: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    (tmp_path / "run").mkdir(exist_ok=True)
    return _bash(f"HOST_ROOT={tmp_path}; declare -A PARAMETER_PATTERNS=(); start_report ConfigurationFailed; {body}")


def test_error_in_a_subshell_is_reported_once(tmp_path: Path) -> None:
    completed = _document('x="$(fail VmcoreNotFound "not here")"; succeed "{}"', tmp_path)
    assert completed.returncode == 1
    assert json.loads(completed.stdout) == {"error": "VmcoreNotFound", "message": "not here"}


def test_step_that_nobody_foresaw_ends_in_a_named_error(tmp_path: Path) -> None:
    completed = _document("false; succeed '{}'", tmp_path)
    assert completed.returncode == 1
    assert json.loads(completed.stdout)["error"] == "ConfigurationFailed"


def test_what_tools_print_goes_to_stderr_and_nothing_is_left_behind(tmp_path: Path) -> None:
    completed = _document("echo noise; succeed '{\"a\":1}'", tmp_path)
    assert (completed.returncode, completed.stdout) == (0, '{"a":1}')
    assert "noise" in completed.stderr
    assert not list((tmp_path / "run").iterdir())


def test_parameter_that_does_not_match_is_named_with_what_is_allowed(root: FakeRoot) -> None:
    run = root.run("prepare_dump_volume", volumeId="vol-0123; reboot")
    assert run.error == "InvalidParameter"
    assert run.report is not None
    assert "volumeId" in run.report["message"]
    assert "^(none|vol-[0-9a-f]{8,17})$" in run.report["message"]


def test_trailing_newline_does_not_slip_through(root: FakeRoot) -> None:
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID + "\n").error == "InvalidParameter"


def test_url_is_never_told(root: FakeRoot) -> None:
    run = root.run("upload_vmcore", action="upload", manifestUrl="https://bucket/x?X-Amz-Signature=sec ret")
    assert run.error == "InvalidParameter"
    assert "Signature" not in run.stdout + run.stderr


def test_host_of_no_known_family_is_named(root: FakeRoot) -> None:
    (root.path / "etc/debian_version").unlink()
    root.write("etc/os-release", 'PRETTY_NAME="Plan 9"\n')
    run = root.run("check_kdump")
    assert run.error == "UnsupportedFamily"
    assert "Plan 9" in run.stdout


def test_older_agent_gets_the_same_result(root_with_volume: FakeRoot) -> None:
    by_text = root_with_volume.run_by_older_agent("prepare_dump_volume", volumeId=VOLUME_ID, mountPoint="/mnt/dump")
    assert by_text.result["mountPoint"] == "/mnt/dump"
    result = root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID, mountPoint="/mnt/dump").result
    assert result == by_text.result | {"status": "unchanged"}


def test_run_that_is_still_at_work_is_waited_for_and_then_named(root_with_volume: FakeRoot) -> None:
    flock = root_with_volume.tools / "flock"
    flock.unlink()
    flock.write_text('#!/bin/bash\necho "flock $*" >>"$HOST_ROOT/calls"\nexit 1\n')  # held for longer than -w allows
    flock.chmod(0o755)
    run = root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert run.error == "ConfigurationFailed"
    assert "still at work" in run.stdout
    assert root_with_volume.calls == ["flock -w 300 9"]


def test_failed_run_says_what_it_has_touched(tmp_path: Path) -> None:
    changes = "note_change /etc/default/kdump-tools; note_change 'kernel.panic_on_oops = 1'"
    for end in ("fail ConfigurationFailed 'update-grub failed.'", "false"):
        run = _document(f'note_change() {{ echo "$1" >>"$WORK_DIR/changes"; }}; {changes}; {end}', tmp_path)
        report = json.loads(run.stdout)
        assert report["error"] == "ConfigurationFailed"
        assert report["message"].endswith(" Touched: /etc/default/kdump-tools,kernel.panic_on_oops = 1.")
