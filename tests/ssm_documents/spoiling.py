"""Small changes to a fake root by which a test breaks it."""

from tests.ssm_documents.fake_root import FakeRoot


def replace(root: FakeRoot, path: str, old: str, new: str) -> None:
    """Put new text for old, which must be there."""
    text = root.read(path)
    assert old in text, f"{path} has no {old!r}:\n{text}"
    root.write(path, text.replace(old, new))


def drop_lines(root: FakeRoot, path: str, part: str) -> None:
    """Remove the lines with that text, of which there must be one."""
    lines = root.read(path).splitlines(keepends=True)
    assert any(part in line for line in lines), f"{path} has no {part!r}"
    root.write(path, "".join(line for line in lines if part not in line))


def add_line(root: FakeRoot, path: str, line: str) -> None:
    """Append a line."""
    root.write(path, root.read(path) + line + "\n")
