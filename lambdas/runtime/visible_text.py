"""Makes text of a host, a dump or a user fit for people: visible characters, a bounded length, one line. Pure."""

import unicodedata

# Letters and marks that nobody sees although their category says nothing of it (Unicode: Default_Ignorable_Code_Point):
# combining grapheme joiner, Hangul fillers, Khmer inherent vowels, variation selectors; and the blank Braille pattern.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)


def visible(text: str) -> str:
    """Shows each invisible character as `\\x1b` or `\\u202e`; CR LF becomes LF.

    A right-to-left override could make "refused" out of "desufer".
    """
    text = text.replace("\r\n", "\n")
    if text.isprintable() and _BLANK.isdisjoint(text):
        return text
    return "".join(_named(each) if _is_invisible(each) else each for each in text)


def visible_line(text: str) -> str:
    """The same as one line that keeps its blanks. A line break could forge a row of a notification."""
    return visible(text).replace("\n", " ")


def clip(text: str, longest: int) -> str:
    """At most `longest` characters; a shortened text ends in an ellipsis."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def one_line(text: str, longest: int) -> str:
    """One line of visible characters, at most `longest`. A line break could forge a row of a notification."""
    return clip(visible(" ".join(text.split())), longest)


def _is_invisible(character: str) -> bool:
    # Cc, Cf, Cn, Co, Cs: what a font shows for unassigned and private characters is its own affair. Zl, Zp: separators.
    category = unicodedata.category(character)
    return (category[0] == "C" and character not in "\t\n") or category in ("Zl", "Zp") or character in _BLANK


def _named(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
