"""What holds for every function: it imports without an account, and says nothing of what it is given."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LAMBDAS = Path(__file__).parents[2] / "lambdas"
HANDLERS = sorted(path.stem for path in (LAMBDAS / "handlers").glob("[!_]*.py"))


@pytest.mark.parametrize("name", HANDLERS)
def test_has_a_handler_under_its_verb_phrase(name: str) -> None:
    assert callable(importlib.import_module(f"lambdas.handlers.{name}").handler)


def test_imports_without_environment_credentials_or_network() -> None:
    script = f"""
import importlib, socket
import boto3
def refuse(*_, **__): raise AssertionError("a client or a connection at import")
socket.socket.connect = boto3.client = boto3.resource = boto3.session.Session.client = refuse
for name in {HANDLERS}:
    importlib.import_module("lambdas.handlers." + name)
"""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(LAMBDAS.parent)}
    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_neither_event_nor_result_is_logged_even_when_the_environment_asks_for_it(
    context: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_LOGGER_LOG_EVENT", "true")
    monkeypatch.setenv("POWERTOOLS_TRACER_CAPTURE_RESPONSE", "true")
    handler = importlib.import_module("lambdas.handlers.read_document_result").handler
    stdout = json.dumps({"secret": "X-Amz-Signature=1"})
    handler(
        {"document": "probe_instance", "invocation": {"Status": "Success", "StandardOutputContent": stdout}}, context
    )
    captured = capsys.readouterr()
    assert "X-Amz-Signature" not in captured.out + captured.err


def test_only_one_place_calls_the_interrupt_and_only_one_reads_the_clock() -> None:
    sources = {path.relative_to(LAMBDAS).as_posix(): path.read_text() for path in LAMBDAS.rglob("*.py")}
    assert [name for name in sources if "send_diagnostic_interrupt(" in sources[name]] == ["respond/interrupt.py"]
    assert [name for name in sources if "datetime.now(" in sources[name]] == ["runtime/moment.py"]
    assert [name for name in sources if "os.environ" in sources[name]] == ["runtime/environment.py"]
