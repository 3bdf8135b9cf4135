"""`python app.py` on a cdk.json that somebody edited: what is wrong is said in one line."""

from pathlib import Path

import pytest

import app
from analysis.command_line import run
from infra import synth

WRONG = {
    "no JSON": ('{"context": {"hangdump": {"dryRun": true,}}}', "is not JSON: "),
    "not text": ("\ud800", "is not JSON: "),
    "no context": ('{"app": "python app.py"}', 'has no object "hangdump" in its "context"'),
    "no key": ('{"context": {}}', 'has no object "hangdump" in its "context"'),
    "a list": ('{"context": {"hangdump": []}}', 'has no object "hangdump" in its "context"'),
    "a list of all": ("[]", 'has no object "hangdump" in its "context"'),
}


@pytest.mark.parametrize(("content", "said"), WRONG.values(), ids=WRONG)
def test_a_cdk_json_that_cannot_be_read_is_one_line_and_status_1(
    content: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cdk.json").write_bytes(content.encode(errors="surrogatepass"))
    monkeypatch.setattr(synth, "ROOT", tmp_path)
    assert run(app.main) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"SettingsError: {tmp_path}/cdk.json {said}")
    assert printed.count("\n") == 1


def test_a_wrong_value_is_a_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cdk.json").write_text('{"context": {"hangdump": {"dryrun": true}}}')
    monkeypatch.setattr(synth, "ROOT", tmp_path)
    monkeypatch.setenv("CDK_OUTDIR", str(tmp_path / "out"))
    assert run(app.main) == 1
    printed = capsys.readouterr().err.splitlines()
    assert printed[0] == "SettingsError: wrong settings in the context of cdk.json:"
    assert printed[1].startswith("  hangdump.dryrun = True: no such key; did you mean dryRun?")
