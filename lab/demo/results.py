"""Lays down results/latest/: what came out of the bucket, and what the account and the guest say of the run."""

import json
import shutil
from pathlib import Path
from typing import Any

from lab.account import LabAccount

LATEST = Path("results") / "latest"


class Results:
    """The folder of one run; the one before is replaced."""

    def __init__(self, folder: Path = LATEST) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "executions").mkdir(parents=True)

    def download(self, account: LabAccount, *, bucket: str, prefix: str) -> dict[str, Path]:
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

    def keep_history(self, account: LabAccount, *, name: str, execution_arn: str) -> None:
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
