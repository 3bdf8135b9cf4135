"""Builds the functions' code, the package `lambdas` with its pinned dependencies, without Docker.

The dependencies are wheels for the functions' platform, cached by the hash of requirements.txt, so the second synth
needs no network. `python -m infra.foundation.bundle` fetches them in advance.
"""

import atexit
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from aws_cdk import aws_lambda as lambda_

from analysis.command_line import UserError, run

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "lambdas" / "requirements.txt"
CACHE = ROOT / ".cache" / "bundle"

# The functions' runtime as uv names it; a test compares it with functions.py.
PYTHON_VERSION = "3.14"
PLATFORM = "aarch64-manylinux2014"

# uv's own lock, console scripts, and type stubs: nothing that a handler imports.
_LEFT_OUT = shutil.ignore_patterns("bin", ".lock", "__pycache__", "*-stubs", "*.pyi")


class BundleError(UserError):
    """The dependencies could not be fetched."""


def dependencies() -> Path:
    """The directory with the installed dependencies, filled on first use."""
    fingerprint = hashlib.sha256(REQUIREMENTS.read_bytes() + f"{PYTHON_VERSION} {PLATFORM}".encode()).hexdigest()[:16]
    home = CACHE / fingerprint
    if home.is_dir():
        return home
    CACHE.mkdir(parents=True, exist_ok=True)
    # Fill a directory, then rename it: neither two synths at once nor an interrupted one leave half a cache.
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="filling-") as filling:
        target = Path(filling) / "dependencies"
        _install(target)
        try:
            target.rename(home)
        except OSError:
            if not home.is_dir():
                raise
    return home


def _install(target: Path) -> None:
    command = [
        *(sys.executable, "-m", "uv", "pip", "install", "--quiet"),
        *("--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile-bytecode", "--link-mode", "copy"),
        *("--python-platform", PLATFORM, "--python-version", PYTHON_VERSION),
        *("--target", str(target), "--requirement", str(REQUIREMENTS)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BundleError(
            f"could not fetch the dependencies of {REQUIREMENTS.name} for Python {PYTHON_VERSION} on {PLATFORM}. "
            "The first synth needs a package index (UV_INDEX_URL names another one); later ones do not.\n" + done.stderr
        )


def write_bundle(destination: Path) -> None:
    """Copies the dependencies and the packages `lambdas` and `analysis` into an existing directory."""
    shutil.copytree(dependencies(), destination, dirs_exist_ok=True, ignore=_LEFT_OUT)
    sources = shutil.ignore_patterns("__pycache__", "requirements.*")
    shutil.copytree(ROOT / "lambdas", destination / "lambdas", ignore=sources)
    # The functions do not run `analysis`: plan_analysis sends it to the analysis host.
    shutil.copytree(ROOT / "analysis", destination / "analysis", ignore=sources)
    # The asset's hash does not cover modes, but the zip file has them, and the runtime's user must be able to read.
    for path in destination.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def code() -> lambda_.Code:
    """One asset for all functions; create it once per stack."""
    # CDK copies it into the assembly with the first function. BundlingOptions would do the same, but print
    # "Bundling asset …" at every synthesis.
    directory = Path(tempfile.mkdtemp(prefix="hangdump-bundle-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    write_bundle(directory)
    return lambda_.Code.from_asset(str(directory))


def main() -> None:
    """Fetches the dependencies."""
    print(os.path.relpath(dependencies()))


if __name__ == "__main__":
    sys.exit(run(main))
