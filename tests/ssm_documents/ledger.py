"""Reads the ledger of a fake root: what was there before each change of the documents."""

import base64
from dataclasses import dataclass

from tests.ssm_documents.fake_root import FakeRoot

LEDGER = "var/lib/hangdump/ledger"


@dataclass(frozen=True)
class Record:
    """One line; a value is a text, None for none, or "?"."""

    kind: str
    name: str
    before: str | None
    after: str | None


def records(root: FakeRoot) -> list[Record]:
    """All of them, oldest first."""
    if not (root.path / LEDGER).exists():
        return []
    lines = [line.split() for line in root.read(LEDGER).splitlines() if line]
    return [Record(kind, name, _value(kind, before), _value(kind, after)) for kind, name, before, after in lines]


def originals(root: FakeRoot) -> dict[str, str | None]:
    """The files that were changed, as they were before the first change."""
    files: dict[str, str | None] = {}
    for record in records(root):
        if record.kind == "file":
            files.setdefault(record.name.lstrip("/"), record.before)
    return files


def put_edited_files_back(root: FakeRoot) -> None:
    """As if kdump had been installed and nothing been configured."""
    for path, text in originals(root).items():
        if text is not None:
            root.write(path, text)
        else:
            (root.path / path).unlink(missing_ok=True)
    (root.path / LEDGER).unlink()


def _value(kind: str, value: str) -> str | None:
    if value in ("-", "?"):
        return None if value == "-" else value
    return base64.b64decode(value[1:]).decode("latin-1") if kind == "file" else value[1:]
