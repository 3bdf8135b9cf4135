"""Values that want to be markup, template, control sequence or command, and incidents full of them."""

import string
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from lambdas.incident.record import Verdict
from tests.lambdas.report.incidents import CAPTURED

ATTACKS = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</pre></td></table><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% for x in range(9) %}",
    "{{ page.__class__.__mro__ }}",
    "javascript:alert(1)",
    "<!-- ",
    "]]><![CDATA[",
    "&lt;script&gt;&#60;script&#62;",
    "\x1b[31mred\x1b[0m\x00\x08\x9b",
    "\u202egnp.exe\u2066\u200b\ufeff",
    "\ud800",
    "a" * 5000,
    "$(reboot) `reboot` '; reboot; '",
]

hostile = st.one_of(
    st.sampled_from(ATTACKS),
    st.text(max_size=40),
    st.text(alphabet="<>\"'&{}%/=` \x00\x1b\u202e" + string.ascii_letters, max_size=40),
)
whole = st.one_of(st.none(), st.integers(-5, 10**15))
frame = st.fixed_dictionaries(
    {"symbol": hostile, "offset": whole, "size": whole, "module": hostile, "isReliable": st.booleans()}
)
task = st.fixed_dictionaries({"name": hostile, "pid": whole})
pointer = st.fixed_dictionaries({"symbol": hostile, "offset": whole, "size": whole})
blocked = st.fixed_dictionaries(
    {"name": hostile, "pid": whole, "blockedSeconds": whole, "callTrace": st.lists(frame, max_size=2)}
)
trouble = st.fixed_dictionaries({"at": st.one_of(st.none(), st.floats(0, 1e9)), "text": hostile})
triages = st.fixed_dictionaries(
    {
        "kernelRelease": hostile,
        "uptimeSeconds": st.one_of(st.none(), st.floats(0, 1e9)),
        "panicMessage": hostile,
        "crashClass": st.sampled_from(["nmi-hang", "hung-task", "unknown"]),
        "sentence": hostile,
        "crashingCpu": st.one_of(st.none(), st.integers(0, 3)),
        "task": task,
        "instructionPointer": st.one_of(
            st.none(), st.fixed_dictionaries({"symbol": hostile, "offset": whole, "size": whole})
        ),
        "callTrace": st.lists(frame, max_size=3),
        "taint": hostile,
        "modules": st.lists(hostile, max_size=2),
        "hardware": hostile,
        "cpus": st.lists(
            st.fixed_dictionaries({"cpu": st.integers(0, 5), "task": task, "symbol": hostile}), max_size=3
        ),
        "blockedTasks": st.lists(blocked, max_size=2),
        "warnings": st.lists(trouble, max_size=3),
        "signature": hostile,
    }
)
# Any JSON at all in the place of any field.
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), hostile),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(hostile, inner, max_size=2)),
    max_leaves=5,
)


def altered(shape: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The mapping with some of its fields replaced by anything."""
    replaced = st.dictionaries(st.sampled_from(sorted(shape)), anything, max_size=6)
    return replaced.map(lambda fields: {**shape, **fields})


event = st.one_of(hostile, st.sampled_from(["alarm", "decided", "interrupt-sent"]))
incidents = altered({**CAPTURED, "autoScalingGroup": "", "concludedAt": ""}).flatmap(
    lambda incident: st.builds(
        lambda texts, verdict, entries: {
            **incident,
            **texts,
            "verdict": verdict,
            "timeline": [
                *({"at": f"2026-11-23T05:53:{at:02}Z", "event": e, "detail": d} for at, (e, d) in enumerate(entries)),
                {"at": "2026-11-23T06:00:00Z", "event": "verified"},
            ],
        },
        st.dictionaries(
            st.sampled_from(["instanceId", "incidentId", "alarmName", "bucket", "region", "reason", "executionArn"]),
            hostile,
        ),
        st.one_of(st.sampled_from([each.value for each in Verdict]), hostile),
        st.lists(
            st.tuples(st.one_of(hostile, st.sampled_from(["alarm", "decided", "interrupt-sent"])), hostile), max_size=4
        ),
    )
)
