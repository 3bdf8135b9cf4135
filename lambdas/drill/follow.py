"""Whether the production chain has concluded the hang of a twin. Reads; starts and changes nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lambdas.incident.index import IncidentIndex
from lambdas.incident.record import State, Verdict
from lambdas.instance.facts import read_instance, read_ping
from lambdas.respond.claim import last_crash
from lambdas.runtime.camel_case import camel_case

# After the hang: so long may an alarm take that is late, and an agent that lives pings in this time.
_HEARD_WITHIN = timedelta(minutes=15)
_BACK_AFTER = timedelta(minutes=3)
# What is refused for a while is asked again within the hour: afterwards nobody will interrupt the twin any more.
_UNHEARD_AFTER = timedelta(minutes=75)
_MOST_SEARCHED = 100
_GONE = ("shutting-down", "terminated")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What is known of the twin's incident.

    is_over: nothing more will come. must_fetch: it is back and no alarm was heard, as after a panic by itself with a
    quick dump; an owner would start CollectVmcore. is_unheard: it was neither interrupted nor panicked for too long.
    """

    is_over: bool = False
    is_twin_gone: bool = False
    must_fetch: bool = False
    is_unheard: bool = False
    incident_id: str = ""
    verdict: str = ""
    # The last refusal to interrupt it: some pass, and it is asked again.
    refusal: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the state machine."""
        return {camel_case(name): value for name, value in vars(self).items()}


def follow(table: str, twin_id: str, *, hung_at: datetime, now: datetime) -> Progress:
    """The progress by the records; by EC2 and Systems Manager only while there is no incident."""
    crash = last_crash(table, twin_id)
    if crash is not None and crash.state != State.CONCLUDED:
        return Progress(incident_id=crash.incident_id)
    if crash is not None:
        verdict = crash.verdict.value if crash.verdict else ""
        return Progress(is_over=True, incident_id=crash.incident_id, verdict=verdict)
    own = [each for each in IncidentIndex(table).newest(_MOST_SEARCHED).incidents if each.instance_id == twin_id]
    ended = [each for each in own if each.verdict != Verdict.REFUSED]
    if ended:
        return Progress(is_over=True, incident_id=ended[0].incident_id, verdict=ended[0].verdict)
    refusal = own[0].refusal if own else ""
    twin = read_instance(twin_id)
    if twin is None or twin.state in _GONE:
        return Progress(is_twin_gone=True, refusal=refusal)
    ping = read_ping(twin_id)
    is_back = ping is not None and ping.status == "Online" and ping.last_ping_at > hung_at + _BACK_AFTER
    return Progress(
        must_fetch=is_back and now > hung_at + _HEARD_WITHIN,
        is_unheard=now > hung_at + _UNHEARD_AFTER,
        refusal=refusal,
    )
