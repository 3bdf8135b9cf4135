"""What the demo lays down in results/latest/."""

from pathlib import Path
from typing import Any

from lab.demo.results import Results


class Bucket:
    """The two calls that a download makes of S3, answered from a mapping of keys."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self._objects = objects

    def client(self, _service: str) -> "Bucket":
        return self

    def list_objects_v2(self, *, Bucket: str, Prefix: str) -> dict[str, Any]:  # noqa: N803
        return {"Contents": [{"Key": key} for key in self._objects if key.startswith(Prefix)]}

    def download_file(self, _bucket: str, key: str, path: str) -> None:
        Path(path).write_bytes(self._objects[key])


def test_objects_of_an_incident_keep_their_folders(tmp_path: Path) -> None:
    account: Any = Bucket({"vmcores/1/vmcore": b"KDUMP", "vmcores/1/before/console.txt": b"login:"})
    files = Results(tmp_path / "latest").download(account, bucket="any", prefix="vmcores/1/")
    assert files["before/console.txt"] == tmp_path / "latest" / "before" / "console.txt"
    assert {name: path.read_bytes() for name, path in files.items()} == {
        "vmcore": b"KDUMP",
        "before/console.txt": b"login:",
    }
