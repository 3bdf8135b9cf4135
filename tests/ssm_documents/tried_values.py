"""Every parameter of every document with hostile values for it, and which of them the API would let through.

Where the API's engine may read a pattern more generously than Python (`$` before a last line end, as Java's find does),
the generous reading is let through.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.ssm_documents.hostile_values import hostile_values

SEED = 20261123
VALUES_A_PARAMETER = 400
AGENTS = {"ENV_VAR": "3.3.2746.0", "text": "3.3.1611.0"}
# What a line may end with for Java's `$`.
_LINE_END = re.compile("(\r\n|[\n\r\x85\u2028\u2029])\\Z")
# More of what a parameter accepts than its default, so that mutations start near the edges of the pattern.
VALID = {
    "crashkernel": ["512M,high 72M,low", "1G-4G:192M,4G-:256M", "256M@16M"],
    "coreCollector": ["makedumpfile -c -d 31 --message-level 7"],
    "manifestUrl": ["https://bucket.s3.eu-west-1.amazonaws.com/manifests/1?X-Amz-Signature=0a&b=%2F"],
    "vmcorePath": ["/var/crash/202611230400/dump.202611230400", "/var/crash/127.0.0.1-2026-11-23-04:00:00/vmcore"],
    "volumeId": ["vol-0123456789abcdef0"],
    "since": ["1764561600"],
}


@dataclass
class Tried:
    """The values of one parameter, and which of them get through the API."""

    verb_phrase: str
    name: str
    declaration: Mapping[str, Any]
    values: list[str]
    accepted: list[str] = field(default_factory=list)

    @property
    def in_environment(self) -> list[str]:
        """An environment variable cannot hold NUL: such a value does not even reach the agent's script."""
        return [each for each in self.values if "\0" not in each]

    def allows(self, value: str) -> bool:
        """What the script has to say to a value."""
        return is_allowed(self.declaration["allowedPattern"], value)


def is_allowed(pattern: str, value: str) -> bool:
    """The whole value, `$` being its very end."""
    return re.fullmatch(pattern[1:-1], value) is not None


def _may_pass_the_api(pattern: str, value: str) -> bool:
    return is_allowed(pattern, value) or is_allowed(pattern, _LINE_END.sub("", value))


def tried_values(documents: Mapping[str, Mapping[str, Any]]) -> list[Tried]:
    """The same each time; documents by verb phrase, as assembled."""
    everything: list[Tried] = []
    for verb_phrase, content in documents.items():
        for name, declaration in content.get("parameters", {}).items():
            valid = [declaration["default"], *VALID.get(name, [])]
            assert all(is_allowed(declaration["allowedPattern"], each) for each in valid), name
            values = list(hostile_values(valid, number=VALUES_A_PARAMETER, seed=SEED + len(everything)))
            accepted = [each for each in values if _may_pass_the_api(declaration["allowedPattern"], each)]
            everything.append(Tried(verb_phrase, name, declaration, values, accepted))
    return everything
