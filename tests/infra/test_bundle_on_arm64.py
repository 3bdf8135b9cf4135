"""The very bundle on what Lambda runs it on, arm64 and its Python, emulated: it imports, and answers as here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.foundation import bundle
from lab.machines.composed_dump import elf, flattened, kdump_compressed, memory_with_log, memory_with_old_log
from tests.infra.arm64_python import NotAvailable, ensure_arm64_python
from tests.infra.bundle_answers import answers

LOGS = Path(__file__).parents[1] / "lambdas" / "triage" / "logs"
SCRIPT = Path(__file__).with_name("bundle_answers.py")
SITE_PACKAGES = next(path for path in sys.path if path.endswith("site-packages"))


# Two minutes of processor time, most of it to compile what is imported.
@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_every_handler_imports_there_and_answers_as_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        emulated = ensure_arm64_python()
    except NotAvailable as error:
        pytest.skip(str(error))
    bundled, dumps, memory = tmp_path / "bundle", tmp_path / "dumps", memory_with_log()
    bundled.mkdir()
    bundle.write_bundle(bundled)
    dumps.mkdir()
    (dumps / "elf").write_bytes(elf(memory))
    (dumps / "old-log").write_bytes(elf(memory_with_old_log()))
    (dumps / "flattened").write_bytes(flattened(kdump_compressed(memory)))

    arguments = ["-I", "-S", "-B", *map(str, (SCRIPT, bundled, SITE_PACKAGES, LOGS, dumps))]
    done = subprocess.run([*emulated.command, *arguments], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr[-3000:]
    there = json.loads(done.stdout.splitlines()[-1])
    assert there["machine"] == "aarch64"
    assert there["python"].rsplit(".", 1)[0] == bundle.PYTHON_VERSION
    assert len(there["handlers"]) == len(list(bundled.glob("lambdas/handlers/[!_]*.py")))
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "1")
    assert there["answers"] == json.loads(json.dumps(answers(LOGS, dumps)))
