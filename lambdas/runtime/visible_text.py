"""Makes text of a host, a dump or a user fit for people: visible characters, a bounded length, one line. Pure."""

import re
import unicodedata

# C0 and C1 controls but tab and newline, soft hyphen, zero-width and bidirectional controls, line and paragraph
# separators, byte order mark, interlinear annotations, lone surrogates, tags. A right-to-left override could make
# "refused" out of "desufer".
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    """Shows each invisible character as `\\x1b` or `\\u202e`; CR LF becomes LF."""
    shown = _INVISIBLE.sub(lambda match: _named(match[0]), text.replace("\r\n", "\n"))
    if shown.isprintable():
        return shown
    # Other controls, private and unassigned characters: what each font shows is its own affair.
    return "".join(_named(each) if _is_control(each) else each for each in shown)


def clip(text: str, longest: int) -> str:
    """At most `longest` characters; a shortened text ends in an ellipsis."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def one_line(text: str, longest: int) -> str:
    """One line of visible characters, at most `longest`. A line break could forge a row of a notification."""
    return clip(visible(" ".join(text.split())), longest)


def _is_control(character: str) -> bool:
    # Cc, Cf, Cn, Co, Cs
    return unicodedata.category(character)[0] == "C" and character not in "\t\n"


def _named(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
