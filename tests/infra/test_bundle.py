"""What the functions run: our package and its dependencies for their platform, the same bytes every time."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.foundation import bundle
from infra.synth import TEMPLATE
from tests.infra.template import Template


def _digest(directory: Path) -> str:
    """Of names and contents."""
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(directory)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def test_all_functions_share_one_asset_that_holds_every_handler(assembly: Path, template: Template) -> None:
    functions = template.of_type("AWS::Lambda::Function").values()
    (key,) = {function["Code"]["S3Key"] for function in functions}
    asset = assembly / f"asset.{key.removesuffix('.zip')}"
    for function in functions:
        module = asset.joinpath(*function["Handler"].split(".")[:-1])
        assert module.with_suffix(".py").is_file() or (module / "__init__.py").is_file(), function["Handler"]


def test_the_bundle_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        bundle.write_bundle(tmp_path / name)
    assert _digest(tmp_path / "first") == _digest(tmp_path / "second")


def test_the_bundle_holds_what_the_runtime_needs_and_nothing_else(tmp_path: Path) -> None:
    bundle.write_bundle(tmp_path)
    assert (tmp_path / "lambdas" / "runtime" / "errors.py").is_file()
    assert (tmp_path / "aws_lambda_powertools" / "__init__.py").is_file()
    # The runtime brings its own.
    assert not (tmp_path / "boto3").exists()
    assert list(tmp_path.rglob("__pycache__")) == []
    assert list(tmp_path.rglob("requirements.*")) == []
    native = [path.name for path in tmp_path.rglob("*.so")]
    assert native
    assert [name for name in native if "cpython-314-aarch64-linux-gnu" not in name] == []


def test_a_cached_bundle_needs_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle.dependencies()
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path))
    bundle.write_bundle(tmp_path / "out")
    assert (tmp_path / "out" / "pydantic" / "__init__.py").is_file()


def test_dependencies_that_cannot_be_had_are_an_error_that_leaves_no_half_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bundle, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    with pytest.raises(bundle.BundleError, match="needs a package index"):
        bundle.dependencies()
    assert os.listdir(tmp_path / "cache") == []


def test_other_requirements_are_another_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = bundle.dependencies()
    changed = tmp_path / "requirements.txt"
    changed.write_bytes(bundle.REQUIREMENTS.read_bytes() + b"# another\n")
    installed: list[Path] = []

    def install(target: Path) -> None:
        target.mkdir()
        installed.append(target)

    monkeypatch.setattr(bundle, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(bundle, "REQUIREMENTS", changed)
    monkeypatch.setattr(bundle, "_install", install)
    assert bundle.dependencies().name != before.name
    assert bundle.dependencies().is_dir()
    assert len(installed) == 1


def test_the_template_deploys_without_docker(assembly: Path) -> None:
    assets = json.loads((assembly / TEMPLATE.replace("template", "assets")).read_text(encoding="utf-8"))
    assert assets["dockerImages"] == {}


def test_the_bundle_holds_the_templates_of_the_report(tmp_path: Path) -> None:
    bundle.write_bundle(tmp_path)
    templates = {path.name for path in (bundle.ROOT / "lambdas/report/templates").iterdir()}
    assert {"report.html", "style.css"} <= templates
    assert {path.name for path in (tmp_path / "lambdas/report/templates").iterdir()} == templates
    assert (tmp_path / "jinja2" / "__init__.py").is_file()


_SYNTHESIZE_ONE_FUNCTION = """
import sys
from infra.foundation import bundle
import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
app = cdk.App(outdir=sys.argv[1])
runtime = lambda_.Runtime.PYTHON_3_14
lambda_.Function(cdk.Stack(app, "Small"), "f", code=bundle.code(), handler="lambdas.runtime.errors.f", runtime=runtime)
app.synth()
"""


@pytest.mark.nightly
def test_it_is_put_into_the_assembly_without_a_word(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SYNTHESIZE_ONE_FUNCTION, str(tmp_path / "out")]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=bundle.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (asset,) = (tmp_path / "out").glob("asset.*")
    assert (asset / "lambdas" / "runtime" / "errors.py").is_file()
    # No copy of it is left behind.
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
