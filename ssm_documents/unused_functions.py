"""Leaves out of a script the shell functions and constants that nothing in it names: every family is in several
documents, each of which asks it for something else, and SSM takes 64 KB a document.

Pure. Knows two names that are put together at run time: `family VERB` calls <family>_VERB, and families are found by
their <family>_is_this_host (shell/family.sh).
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# find_family() {      and on one line: is_mounted() { [[ -n "$(mounted_device "$1")" ]]; }
_DEFINITION = re.compile(r"^(?P<name>[a-z0-9_]+)\(\) [{(](?P<body>.*)$")
_WORD = re.compile(r"[a-z0-9_]+")
# DEBIAN_CONFIGURATION=/etc/default/kdump-tools
_CONSTANT = re.compile(r"^(?P<name>[A-Z0-9_]+)=(\"[^\"]*\"|'[^']*'|\$\(\([^)]*\)\)|[^\"'(]*)$")
# family crash_initrd
_ASKED = re.compile(r"\bfamily (?P<verb>[a-z_]+)")
_QUESTION = "_is_this_host"


@dataclass(frozen=True)
class _Block:
    """Consecutive lines: a function, or (name "") what stands between functions."""

    name: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """Its own name left out: a function that only calls itself is unused."""
        text = "\n".join(self.lines)
        return re.sub(rf"(?<!family )\b{self.name}\b", "", text) if self.name else text


def without_unused_functions(lines: Sequence[str]) -> list[str]:
    """The same script without them; definitions begin and end in the first column."""
    blocks = list(_blocks(lines))
    defined = {block.name for block in blocks if block.name}
    families = {name.removesuffix(_QUESTION) for name in defined if name.endswith(_QUESTION)}
    used: set[str] = set()
    found = {name for name in defined if name.endswith(_QUESTION)}
    found |= _named_in("\n".join(block.text for block in blocks if not block.name), defined, families)
    while found - used:
        used |= found
        found = _named_in("\n".join(block.text for block in blocks if block.name in used), defined, families)
    kept = [line for block in blocks if not block.name or block.name in used for line in block.lines]
    code = _without_unused_constants(kept)
    return [
        line for line, after in zip(code, [*code[1:], "#"], strict=True) if not (_is_name(line) and _is_name(after))
    ]


def _without_unused_constants(lines: list[str]) -> list[str]:
    """Nor those that only such a constant names."""
    words = Counter(word for line in lines for word in set(re.findall(r"\w+", line)))
    kept = [line for line in lines if not ((constant := _CONSTANT.match(line)) and words[constant["name"]] == 1)]
    return kept if len(kept) == len(lines) else _without_unused_constants(kept)


def _is_name(line: str) -> bool:
    """Of a file: a comment that stands for nothing if no line of the file is left."""
    return line.startswith("#") and not line.startswith(("#!", "# shellcheck"))


def _named_in(text: str, defined: set[str], families: set[str]) -> set[str]:
    asked = {f"{family}_{match['verb']}" for match in _ASKED.finditer(text) for family in families}
    return (set(_WORD.findall(text)) | asked) & defined


def _blocks(lines: Sequence[str]) -> Iterator[_Block]:
    name, block = "", list[str]()
    for line in lines:
        definition = None if name else _DEFINITION.match(line)
        if definition:
            yield _Block("", tuple(block))
            name, block = definition["name"], []
        block.append(line)
        if name and (line in ("}", ")") or (definition and definition["body"].endswith("}"))):
            yield _Block(name, tuple(block))
            name, block = "", []
    yield _Block(name, tuple(block))
