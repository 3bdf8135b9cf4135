"""The bill of materials of what every Lambda function runs, in CycloneDX: `make sbom` writes docs/sbom.cdx.json.

Read from the bundle's dependencies as installed, and from the pins that they were installed by. Nothing of it depends
on a clock or a machine, so a test can compare.
"""

import base64
import json
import re
import sys
import uuid
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from analysis.command_line import run
from infra.foundation import bundle

SBOM = bundle.ROOT / "docs" / "sbom.cdx.json"
_NAMESPACE = uuid.UUID("6f1b3c1e-8f0d-4b57-9a43-6d1a7c2f9be0")
# jinja2==3.1.6 \
_PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^ ;\\]+)")
#     --hash=sha256:0137fb05990d35f1275a587e9aee6d56da821fc83491a0fb838183be43f66d6d
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def compose() -> dict[str, Any]:
    """The document."""
    pins = dict(read_pins(bundle.REQUIREMENTS))
    installed = sorted(distributions(path=[str(bundle.dependencies())]), key=_name)
    components = [_component(each, pins) for each in installed]
    body: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "hangdump-functions",
                "description": f"Python {bundle.PYTHON_VERSION}, {bundle.PLATFORM}; boto3 is the runtime's own",
                "bom-ref": "hangdump-functions",
            }
        },
        "components": components,
        "dependencies": [{"ref": "hangdump-functions", "dependsOn": [each["bom-ref"] for each in components]}],
    }
    return {**body, "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, json.dumps(body, sort_keys=True))}"}


def read_pins(requirements: Path) -> Iterator[tuple[tuple[str, str], list[str]]]:
    """(name, version) → the SHA-256 of every artefact that may be installed for it."""
    for block in re.split(r"\n(?=\S)", requirements.read_text(encoding="utf-8")):
        if pin := _PIN.match(block):
            yield (pin["name"], pin["version"]), _HASH.findall(block)


def _component(installed: Distribution, pins: dict[tuple[str, str], list[str]]) -> dict[str, Any]:
    name, version = _name(installed), installed.version
    purl = f"pkg:pypi/{name}@{version}"
    component: dict[str, Any] = {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}
    metadata = installed.metadata.json
    licence = str(metadata.get("license_expression") or metadata.get("license") or "")
    # Some have the whole text there.
    if 0 < len(licence) < 40:
        component["licenses"] = [{"license": {"name": licence}}]
    component["properties"] = [
        {"name": "hangdump:pinned-artefact-sha256", "value": each} for each in pins[name, version]
    ]
    component["components"] = [
        {"type": "file", "name": path, "hashes": [{"alg": "SHA-256", "content": digest}]}
        for path, digest in _code_of(installed)
    ]
    return component


def _name(installed: Distribution) -> str:
    """PyPI's spelling: lower case, dashes."""
    return re.sub(r"[-_.]+", "-", str(installed.metadata["Name"])).lower()


def _code_of(installed: Distribution) -> Iterator[tuple[str, str]]:
    """Compiled code, file by file with its SHA-256: what nobody can read in the repository of its source."""
    for path in sorted(installed.files or [], key=str):
        if path.suffix == ".so" and path.hash is not None:
            # urlsafe base64 without padding
            yield str(path), base64.urlsafe_b64decode(path.hash.value + "==").hex()


def text() -> str:
    """As it is written to docs/."""
    return json.dumps(compose(), indent=2) + "\n"


def main() -> None:
    """Write it."""
    SBOM.write_text(text(), encoding="utf-8")
    print(SBOM.relative_to(bundle.ROOT))


if __name__ == "__main__":
    sys.exit(run(main))
