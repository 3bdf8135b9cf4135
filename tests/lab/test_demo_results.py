"""What the demo lays down, where, and what it never touches."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from lab.demo.results import FolderRefused, Results


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


def test_a_run_has_a_folder_of_its_own_and_latest_points_to_the_last(tmp_path: Path) -> None:
    (tmp_path / "faults.json").write_text("not the demo's")
    first = Results.of_a_new_run(tmp_path)
    first.keep("console.log", "the first")
    assert re.fullmatch(r"\d{8}T\d{6}Z", first.folder.name)
    assert (tmp_path / "latest").resolve() == first.folder.resolve()
    later = first.folder.rename(tmp_path / "20200101T000000Z")
    second = Results.of_a_new_run(tmp_path)
    assert (tmp_path / "latest").resolve() == second.folder.resolve()
    assert (later / "console.log").read_text() == "the first"
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"faults.json", "latest", later.name, second.folder.name}


def test_the_folder_of_an_older_version_is_kept_under_its_time(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "vmcore").write_text("KDUMP")
    os.utime(tmp_path / "latest", (0, 0))
    run = Results.of_a_new_run(tmp_path)
    assert (tmp_path / "latest").resolve() == run.folder.resolve()
    assert (tmp_path / "19700101T000000Z" / "vmcore").read_text() == "KDUMP"


def test_a_folder_that_no_demo_made_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("ten years")
    with pytest.raises(FolderRefused, match="no demo made"):
        Results(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "ten years"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(FolderRefused, match="is no folder"):
        Results(tmp_path / "thesis.tex")


def test_the_folder_of_a_demo_that_is_over_is_replaced(tmp_path: Path) -> None:
    first = Results(tmp_path / "mine")
    first.keep("console.log", "the first")
    first.close()
    second = Results(tmp_path / "mine")
    assert second.files == ["executions"]


def test_two_demos_do_not_write_into_one_folder(tmp_path: Path) -> None:
    first = Results(tmp_path / "mine")
    first.keep("console.log", "the first")
    with pytest.raises(FolderRefused, match=r"another demo: process \d+, since .* UTC\. Wait, or"):
        Results(tmp_path / "mine")
    assert first.files == ["console.log", "executions"]
