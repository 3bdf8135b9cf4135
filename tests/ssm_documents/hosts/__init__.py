"""The distributions that the fake root can be: what differs between them and is not a file.

The files of a freshly launched instance stand in the folder of the same name.
"""

import json
from dataclasses import dataclass
from pathlib import Path

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

    @property
    def files(self) -> Path:
        """The files of a fresh instance."""
        return HERE / self.name


def host(name: str) -> Host:
    """The distribution of that name; its facts are in host.json beside its files."""
    return Host(name=name, **json.loads((HERE / f"{name}.json").read_text()))


HOSTS = sorted(file.stem for file in HERE.glob("*.json"))
