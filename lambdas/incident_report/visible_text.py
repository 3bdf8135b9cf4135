"""Makes text of unknown origin safe to look at: what a browser would act upon or hide becomes something to read.

Escaping HTML is the templates' (autoescape); this is about characters that change how the rest is shown.
"""

import re

# C0 and C1 controls but tab and newline, soft hyphen, zero-width and bidirectional controls, line and paragraph
# separators, byte order mark, interlinear annotations, lone surrogates, tags. A right-to-left override could make
# "refused" out of "desufer".
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    """The same with each such character as `\\x1b` or `\\u202e`; a line end of CR LF is a line end."""
    return _INVISIBLE.sub(lambda match: _named(match[0]), text.replace("\r\n", "\n"))


def clip(text: str, longest: int) -> str:
    """At most that many characters, the last of them an ellipsis if some were left out."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _named(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
