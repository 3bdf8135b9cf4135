"""The bill of materials says what is really bundled, and is the one in the repository."""

import hashlib
import json
from pathlib import Path

from infra.foundation import bundle
from infra.tools import sbom


def test_the_bill_in_the_repository_is_not_stale() -> None:
    assert sbom.SBOM.read_text(encoding="utf-8") == sbom.text(), "make sbom"


def test_every_pinned_dependency_is_in_it_with_all_its_hashes() -> None:
    listed = {
        (each["name"], each["version"]): [p["value"] for p in each["properties"]]
        for each in sbom.compose()["components"]
    }
    assert listed == dict(sbom.read_pins(bundle.REQUIREMENTS))
    assert all(listed.values()), "a pin without a hash"


def test_nothing_is_bundled_that_no_pin_names(tmp_path: Path) -> None:
    bundle.write_bundle(tmp_path)
    metadata = {path.name.removesuffix(".dist-info") for path in tmp_path.glob("*.dist-info")}
    listed = {f"{each['name'].replace('-', '_')}-{each['version']}" for each in sbom.compose()["components"]}
    assert metadata == listed
    # plan_analysis sends our own package `analysis` to the analysis host.
    owned = {"lambdas", "analysis"} | {
        line.split(",")[0].split("/")[0]
        for record in tmp_path.glob("*.dist-info/RECORD")
        for line in record.read_text(encoding="utf-8").splitlines()
    }
    assert {path.name for path in tmp_path.iterdir()} <= owned


def test_compiled_code_is_listed_with_the_digest_of_the_bytes_that_are_bundled(tmp_path: Path) -> None:
    bundle.write_bundle(tmp_path)
    listed = {
        each["name"]: each["hashes"][0]["content"]
        for component in sbom.compose()["components"]
        for each in component["components"]
    }
    compiled = {str(path.relative_to(tmp_path)): path for path in tmp_path.rglob("*.so")}
    assert listed == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in compiled.items()}


def test_it_reads_as_cyclonedx() -> None:
    bill = json.loads(sbom.text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["serialNumber"].startswith("urn:uuid:")
    references = [each["bom-ref"] for each in bill["components"]]
    assert bill["dependencies"][0]["dependsOn"] == references
    assert len(set(references)) == len(references)
    for each in bill["components"]:
        assert each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}"
