"""Values that somebody hostile could give to a document's parameter. Deterministic; owns no judgement of them."""

import random
import string
from collections.abc import Iterator

CANARY = "canary"
# Each leaves the file `canary` in the working directory if it is ever executed, with and without a command of its own.
_EXECUTE = [
    f">{CANARY}",
    f"touch {CANARY}",
    f": >{CANARY}",
    f"exec >{CANARY}",
    f"printf x>{CANARY}",
    f"eval '>{CANARY}'",
]
_WRAP = [
    *("$({})", "`{}`", '"$({})"', "'$({})'", ";{};", "\n{}\n", "|{}", "&{}&", "||{}", "&&{}", "<({})", ">({})"),
    *('";{};"', "';{};'", '"\n{}\n"', '"`{}`"', '"|{}|"', '\\";{};\\"', "${{x:-$({})}}", "$[{}]", "$((`{}`))"),
    *("x[$({})]", "{{{{ {} }}}}", "\r\n{}\r\n", "#\n{}", "\u2028{}\u2029", "\x85{}", "() {{ :; }}; {}", "a={} "),
]
# What is dangerous without executing anything: options, traversal, globs, interpolations, line ends, look-alikes.
_ODD = [
    *(
        "",
        " ",
        "\n",
        "\t",
        "\r",
        "\\",
        "'",
        '"',
        "$",
        "`",
        "!",
        "*",
        "?",
        "~",
        "-",
        "--",
        "-rf",
        "--help",
        "-o",
        "--",
        "..",
    ),
    *("../../etc/shadow", "/../..", "/./.", "//", "/dev/sda", "/proc/self/mem", "{{ action }}", "{{ssm:secret}}", "{{"),
    *("%s%n", "%00", "\x00", "\x01", "\x1b[2J", "\x7f", "\u202e", "\ufeff", "\u0130", "\u2215", "\uff0f", "\u00e9"),
    *("[a-z]", "{a,b}", "$HOME", "${IFS}", "$@", "!!", "#", "=", ":", ",", "@", "+", "1e9", "0x10", "010", "-1", "NaN"),
    *("9" * 20, "a" * 300, "/" + "a" * 300, "A" * 5000, "/a" * 200, "true ", " true", "none\n", "\nnone"),
]
_CHARACTERS = (
    string.ascii_letters + string.digits + "/._-:=,@+ " + "\"'`$\\{}()[]<>|&;!*?#~%^\n\r\t" + "\u00e9\u2028\x85"
)


def hostile_values(valid: list[str], *, number: int, seed: int) -> Iterator[str]:
    """`number` different values for a parameter that accepts `valid`."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable choice, not a secret
    seen: set[str] = set()
    while len(seen) < number:
        value = _value(chance, chance.choice(valid))
        if value not in seen:
            seen.add(value)
            yield value


def _value(chance: random.Random, good: str) -> str:
    kind = chance.randrange(4)
    if kind == 0:
        return _mutated(chance, good)
    if kind == 1:
        return _placed(chance, good, chance.choice(_ODD))
    payload = chance.choice(_WRAP).format(chance.choice(_EXECUTE))
    return _placed(chance, good, payload)


def _placed(chance: random.Random, good: str, payload: str) -> str:
    """Before, after, within or instead of something that is allowed, sometimes twice."""
    at = chance.randrange(len(good) + 1)
    ways = (payload, good + payload, payload + good, good[:at] + payload + good[at:], payload + good + payload)
    return chance.choice(ways)


def _mutated(chance: random.Random, good: str) -> str:
    characters = list(good)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(characters) + 1)
        characters[at : at + chance.randrange(2)] = chance.choice(_CHARACTERS)
    return "".join(characters)
