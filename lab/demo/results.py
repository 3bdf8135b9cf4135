"""The folder of one run of the demo: what came out of the bucket, and what the account and the guest say of the run."""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.command_line import UserError
from lab.lock import Held, take

if TYPE_CHECKING:
    from lab.aws.account import LabAccount

RESULTS = Path("results")
_LATEST = "latest"
# Says which demo writes here, and ever after that a demo made this folder.
_LOCK = "demo.lock"


class FolderRefused(UserError):
    """The results cannot go there."""


class Results:
    """`folder` belongs to this run until the process ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _require_ours(folder)
        try:
            self._lock = take(folder / _LOCK)
        except Held as held:
            raise FolderRefused(f"{folder} belongs to another demo: {held}. Wait, or give another DIR") from held
        for path in folder.iterdir():
            if path.name != _LOCK:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        (folder / "executions").mkdir()

    def close(self) -> None:
        """The folder may be replaced from now on. The end of the process does it as well."""
        self._lock.close()

    @classmethod
    def of_a_new_run(cls, parent: Path = RESULTS) -> "Results":
        """In parent/<time>, to which parent/latest then points."""
        results = cls(parent / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
        latest, link = parent / _LATEST, parent / f"{_LATEST}.{os.getpid()}"
        if latest.is_dir() and not latest.is_symlink():
            # Of a version that had no other folder.
            latest.rename(parent / f"{datetime.fromtimestamp(latest.stat().st_mtime, UTC):%Y%m%dT%H%M%SZ}")
        link.symlink_to(results.folder.name)
        link.replace(latest)
        return results

    @property
    def files(self) -> list[str]:
        """The names of all that is there for the reader."""
        return sorted(path.name for path in self.folder.iterdir() if path.name != _LOCK)

    def download(self, account: "LabAccount", *, bucket: str, prefix: str) -> dict[str, Path]:
        """Every object below `prefix` (ending in a slash), by its name."""
        s3 = account.client("s3")
        objects = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        files = {}
        for entry in objects:
            name = entry["Key"].removeprefix(prefix)
            files[name] = self.folder / name
            # before/console.txt
            files[name].parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, entry["Key"], str(files[name]))
        return files

    def keep_history(self, account: "LabAccount", *, name: str, execution_arn: str) -> None:
        """The full event history of an execution, as GetExecutionHistory gives it."""
        pages = (
            account.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution_arn)
        )
        events: list[Any] = [event for page in pages for event in page["events"]]
        self.keep(f"executions/{name}.json", json.dumps(events, indent=1, default=str))

    def keep(self, name: str, text: str) -> Path:
        """Write one text file into the folder."""
        path = self.folder / name
        path.write_text(text)
        return path


def _require_ours(folder: Path) -> None:
    """Nothing that no demo made is ever deleted."""
    if folder.exists() and not folder.is_dir():
        raise FolderRefused(f"{folder} is no folder. Give another DIR")
    if folder.exists() and any(folder.iterdir()) and not (folder / _LOCK).is_file():
        raise FolderRefused(f"{folder} holds files that no demo made, and a run replaces all. Give another DIR")
