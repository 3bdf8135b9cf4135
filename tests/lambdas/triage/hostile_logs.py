"""Logs for the fuzz: those of the corpus, cut, spliced, repeated and sprinkled, with numbers at their boundaries."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.lambdas.triage.triage_cases import CASES, read

LOGS = [read(name) for name in CASES]
LINES = [line for log in LOGS for line in log.splitlines()]
_WORDS = sorted({word for line in LINES for word in line.split()})
_NUMBER = re.compile(r"[0-9]+")
_STAMP = re.compile(r"^\[ *\d+\.\d+\]( ?\[ *[TC]\d+\])? ?", re.MULTILINE)
_SPICE = (
    *(
        "\x00",
        "\t",
        "\x0b",
        "\x1b[2J",
        "\x1b[0;31m",
        "\x85",
        "\xa0",
        "\xad",
        "\u200b",
        "\u202e",
        "\u2028",
        "\u2066",
        "\u3000",
    ),
    *(
        "\udc80",
        "\ud83d",
        "\ue000",
        "\uffff",
        "\ufffd",
        "\U000e0041",
        "\U0001f4a5",
        "\u0301" * 50,
        "<script>",
        "&",
        "'",
        '"',
    ),
    *("[" * 40, "<6>", "+0x", "]: ", "\r", "\r\n", "\n", " " * 60, "? ", "(", "Tainted: ", " " * 1100),
)
_NUMBERS = (
    "0",
    "1",
    "-1",
    "00",
    "4294967295",
    "18446744073709551616",
    "9" * 15,
    "9" * 20,
    "9" * 400,
    "\u0663",
    "\u00b2",
    "",
)
_TITLES = (
    *("Kernel panic - not syncing: ", "BUG: ", "Oops: 0000 [#1]", "INFO: task a:1 blocked for more than 120 seconds."),
    *("NMI backtrace for cpu 1", "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [a:1]", "Mem-Info:", "WARNING: "),
    *(
        "---[ end trace 0 ]---",
        "RIP: 0033:0x1",
        "Modules linked in: a",
        "Linux version 6.1.0",
        "Hardware name: ",
        " <NMI>",
    ),
)
# Repeated: lines with a place for a number.
_SERIES = (
    *("NMI backtrace for cpu {}", "task:a{} state:D stack:0 pid:{} ppid:2 flags:0x0", " function_{}+0x1/0x2 [module]"),
    *(
        "CPU: {} PID: {} Comm: a{} Not tainted 6.1.0-{} #1",
        "BUG: number {}",
        "INFO: task a{}:{} blocked for more than 9 seconds.",
    ),
    *(
        "[{:7d}]     0 {:5d}   484532   481310  3903488        0             0 stress",
        "WARNING: a{}",
        "active_anon:{} free:{}",
    ),
    *(
        "Modules linked in: module_{}",
        "module_{} " * 60,
        "Kernel panic - not syncing: {}",
        "Oops: {} [#1]",
        "x" * 900 + " a{}",
    ),
    *(
        "rcu: \t{}-....: (5249 ticks this GP)",
        " <IRQ>",
        "RIP: 0010:function_{}+0x1/0x2",
        "pc : a{}+0x1/0x2",
        "Linux version {}",
    ),
)


@dataclass(frozen=True)
class HostileLog:
    """A log, and the console beside it."""

    text: str
    console: str


def hostile_log(chance: random.Random) -> HostileLog:
    """By chance, from one of the corpus to rubbish."""
    text = chance.choice(LOGS)
    if chance.random() < 0.9:
        begin = chance.randrange(len(text))
        text = text[begin : begin + chance.randrange(1, 4000)]
    for _ in range(chance.choice((0, 1, 2, 3, 5, 8))):
        text = chance.choice(_DAMAGES)(text, chance)[:_LONGEST]
    console = ""
    if chance.random() < 0.15:
        console = chance.choice((text[:2000], chance.choice(LOGS), chance.choice(_SPICE)))
    return HostileLog(text if chance.random() < 0.9 else "", console)


# Most are far shorter: fuzzing wants many.
_LONGEST = 200_000


def _splice(text: str, chance: random.Random) -> str:
    """The end of another log behind it, or the lines of both by turns, as two CPUs print them."""
    other = chance.choice(LOGS)
    if chance.random() < 0.5:
        return text[: chance.randrange(len(text) + 1)] + other[chance.randrange(len(other)) :]
    lines, others = text.splitlines(), other[chance.randrange(len(other)) :][:4000].splitlines()
    for line in others:
        lines.insert(chance.randrange(len(lines) + 1), line)
    return "\n".join(lines) + "\n"


def _sprinkle(text: str, chance: random.Random) -> str:
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(text) + 1)
        piece = chance.choice((chance.choice(_SPICE), chance.choice(_TITLES), chance.choice(LINES) + "\n"))
        text = text[:at] + piece + text[at + chance.choice((0, 0, 1, 60)) :]
    return text


def _change_numbers(text: str, chance: random.Random) -> str:
    share, number = chance.choice((0.02, 0.1, 1.0)), chance.choice(_NUMBERS)
    return _NUMBER.sub(lambda found: number if chance.random() < share else found[0], text)


def _change_words(text: str, chance: random.Random) -> str:
    words = text.split(" ")
    for _ in range(chance.randrange(1, 8)):
        place = chance.randrange(len(words))
        words[place] = chance.choice((chance.choice(_WORDS), chance.choice(_SPICE), "", words[place] * 2))
    return " ".join(words)


def _move_lines(text: str, chance: random.Random) -> str:
    lines = text.splitlines()
    kind = chance.randrange(4)
    if kind == 0:
        chance.shuffle(lines)
    elif kind == 1:
        lines = [line for line in lines if chance.random() < 0.8]
    elif kind == 2:
        begin = chance.randrange(len(lines) + 1)
        lines[chance.randrange(len(lines) + 1) : 0] = lines[begin : begin + 20]
    else:
        return chance.choice((" ", "", "\r")).join(lines)
    return "\n".join(lines) + "\n"


def _repeat(text: str, chance: random.Random) -> str:
    """Lines of some kinds many times, with other numbers each."""
    kinds = chance.sample(_SERIES, chance.choice((1, 1, 2, 3)))
    count = chance.choice((10, 70) if chance.random() < 0.98 else (300, 1100, 3000))
    series = "\n".join(kind.format(*([number] * kind.count("{"))) for number in range(count) for kind in kinds)
    at = chance.randrange(len(text) + 1)
    return f"{text[:at]}\n{series}\n{text[at:]}"


def _flip_bytes(text: str, chance: random.Random) -> str:
    """The bytes that the bucket holds, read as the functions read them."""
    data = bytearray(text.encode(errors="surrogatepass"))
    for _ in range(chance.randrange(1, 40)):
        if data:
            data[chance.randrange(len(data))] = chance.randrange(256)
    return data.decode("utf-8", errors="replace")


def _change_prefixes(text: str, chance: random.Random) -> str:
    kind = chance.randrange(4)
    if kind == 0:
        return _STAMP.sub("", text)
    prefix = ("<4>", "Nov 23 10:57:58 host kernel: ", f"[   12.345678][   T{chance.randrange(3)}] ")[kind - 1]
    return re.sub("(?m)^(?=.)", prefix, text)


_DAMAGES: tuple[Callable[[str, random.Random], str], ...] = (
    *(_splice, _sprinkle, _sprinkle, _change_numbers, _change_words, _move_lines, _repeat, _flip_bytes),
    _change_prefixes,
)
