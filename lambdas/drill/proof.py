"""What a drill has proven: for an image, a type family, a kernel and settings. Pure but for reading and writing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from lambdas.incident.drill_keys import proof_key
from lambdas.incident.read_items import read_items
from lambdas.incident.record import Incident
from lambdas.incident.update_expression import serialize
from lambdas.runtime import clients, moment
from lambdas.runtime.camel_case import camel_case

# On the item of a proof, also of one that is still to come.
BEGUN_AT = "begunAt"
# The name of the execution that a sweep began then.
_BEGUN_BY = "begunBy"
# The events of an incident's timeline that end a phase, and the phase.
_PHASES = {
    "decided": "hangToDecision",
    "interrupt-sent": "interrupt",
    "interrupt-uncertain": "interrupt",
    "panicked": "interrupt",
    "online": "dump",
    "upload-started": "find",
    "verified": "upload",
    "opened": "open",
    "concluded": "conclude",
}


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A dump that was captured, opened and reported; `seconds` by phase.

    What it used at most, without a price: instance_seconds of the twin, volume_gib_seconds of its volumes, 0 if a
    volume was gone when it was asked for, and vmcore_bytes, which stay in the bucket.
    """

    image_id: str
    instance_type: str
    kernel: str
    configuration_id: str
    hang: str
    verdict: str
    incident_id: str
    proven_at: str
    report_key: str = ""
    vmcore_bytes: int = 0
    instance_seconds: int = 0
    volume_gib_seconds: int = 0
    seconds: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For the item and for people."""
        return {camel_case(name): dict(value) if name == "seconds" else value for name, value in vars(self).items()}


def seconds_of(times: Mapping[str, str], timeline: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """Seconds per phase. `times`: startedAt, onlineAt, readyAt, hungAt of the drill, as far as it came."""
    seconds = {}
    for phase, began, ended in (
        ("launch", "startedAt", "onlineAt"),
        ("provision", "onlineAt", "readyAt"),
        ("settle", "readyAt", "hungAt"),
    ):
        if began in times and ended in times:
            seconds[phase] = _between(moment.parse(times[began]), moment.parse(times[ended]))
    if "hungAt" not in times:
        return seconds
    last = moment.parse(times["hungAt"])
    for entry in timeline:
        phase_or_none = _PHASES.get(entry["event"])
        if phase_or_none is not None and phase_or_none not in seconds:
            at = moment.parse(entry["at"])
            seconds[phase_or_none] = _between(last, at)
            last = max(last, at)
    return seconds


def _between(began: datetime, ended: datetime) -> int:
    return max(0, round((ended - began).total_seconds()))


def prove(  # noqa: PLR0913 - a fact each
    drill: Mapping[str, Any],
    incident: Incident,
    *,
    kernel: str,
    configuration_id: str,
    volume_gib: int,
    times: Mapping[str, str],
    now: datetime,
) -> Proof:
    """The proof that a drill's record and its twin's incident make. `volume_gib`: of all its volumes; 0: not known."""
    # The twin was launched later and is gone already.
    lived_seconds = _between(moment.parse(times["startedAt"]), now)
    return Proof(
        image_id=str(drill["imageId"]),
        instance_type=str(drill["instanceType"]),
        kernel=kernel or incident.kernel or "",
        configuration_id=configuration_id,
        hang=str(drill["hang"]),
        verdict=incident.verdict.value if incident.verdict else "",
        incident_id=incident.incident_id,
        proven_at=moment.iso(now),
        report_key=incident.keys.get("report", ""),
        vmcore_bytes=incident.upload.size_bytes if incident.upload else 0,
        instance_seconds=lived_seconds,
        volume_gib_seconds=lived_seconds * volume_gib,
        seconds=seconds_of(times, incident.timeline),
    )


def read_proofs(table: str, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The items, by key, of those that there are: of each one the last proof and the last drill that a sweep began."""
    # Whoever is left unread counts as never proven until the next look; a claim knows better.
    return read_items(table, keys, is_consistent=False).found


def write_proof(table: str, proof: Proof) -> None:
    """Over the last one of the same combination."""
    key = proof_key(
        image_id=proof.image_id,
        instance_type=proof.instance_type,
        kernel=proof.kernel,
        configuration_id=proof.configuration_id,
    )
    clients.dynamodb().put_item(TableName=table, Item=serialize({"pk": key, **proof.as_json()}))


def claim_drill(table: str, key: str, *, name: str, seen: str, now: datetime) -> bool:
    """Notes that a sweep begins a drill of this combination; False when another one did since `seen`, "" for never."""
    mine = {":now": moment.iso(now), ":name": name}
    return _update(
        table,
        key,
        f"SET {BEGUN_AT} = :now, {_BEGUN_BY} = :name",
        f"{BEGUN_AT} = :seen" if seen else f"attribute_not_exists({BEGUN_AT})",
        mine | ({":seen": seen} if seen else {}),
    )


def give_claim_back(table: str, key: str, *, name: str) -> bool:
    """The drill of this name never began: the next sweep may begin one. False: the claim is no longer its own."""
    return _update(table, key, f"REMOVE {BEGUN_AT}, {_BEGUN_BY}", f"{_BEGUN_BY} = :name", {":name": name})


def _update(table: str, key: str, change: str, condition: str, values: Mapping[str, str]) -> bool:
    try:
        clients.dynamodb().update_item(
            TableName=table,
            Key=serialize({"pk": key}),
            UpdateExpression=change,
            ConditionExpression=condition,
            ExpressionAttributeValues=serialize(values),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True
