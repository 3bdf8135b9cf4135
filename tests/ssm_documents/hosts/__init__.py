"""The distributions that the fake root can be: what differs between them and is not a file.

The files of a freshly launched instance stand in the folder of the same name. An image that is like one of these stands
in relatives.yaml with what differs.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Host:
    """One distribution on one machine type."""

    name: str
    family: str
    kernel: str
    service: str
    # From the root: where the command line of the next boot stands, a glob.
    boot_entries: str
    machine: str = "x86_64"
    # The host whose files it has, with its own kernel; itself, where it has a folder.
    like: str = ""
    # Path from the root → text, in the place of the other's.
    files: Mapping[str, str] = field(default_factory=dict)
    # What check_kdump finds on it when it is ready.
    findings: tuple[str, ...] = ()

    def put_files(self, root: Path) -> None:
        """The files of a fresh instance."""
        shutil.copytree(HERE / self.like, root, symlinks=True, dirs_exist_ok=True)
        old = host(self.like).kernel
        for path in [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]:
            path.write_text(path.read_text().replace(old, self.kernel))
            path.rename(path.with_name(path.name.replace(old, self.kernel)))
        for name, text in self.files.items():
            (root / name).write_text(text)


RELATIVES: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "relatives.yaml").read_text())
HOSTS = sorted(file.stem for file in HERE.glob("*.json"))


def host(name: str) -> Host:
    """The distribution of that name; its facts are in host.json beside its files, or in relatives.yaml."""
    if name not in RELATIVES:
        return Host(name=name, like=name, **json.loads((HERE / f"{name}.json").read_text()))
    facts = RELATIVES[name]
    other = host(facts["like"])
    files = dict(facts.get("files", {}))
    if "os_release" in facts:
        files["etc/os-release"] = "".join(f'{key}="{value}"\n' for key, value in facts["os_release"].items())
    kernel = facts.get("kernel", other.kernel)
    return replace(
        other,
        name=name,
        kernel=kernel,
        boot_entries=other.boot_entries.replace(other.kernel, kernel),
        files=files,
        findings=tuple(facts.get("findings", ())),
    )
